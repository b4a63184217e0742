import type { EndpointSlice, IPsecPolicy, Node, Pod, Service } from '../../../src/cluster/objects.ts';
import type { ClusterObjects } from '../../../src/cluster/snapshot.ts';

/**
 * Builds Kubernetes objects as a source gives them to the agent and the controller. Objects that have a namespace are in
 * `ns` unless told otherwise.
 */

type ServicePorts = NonNullable<Service['spec']['ports']>;
type SlicePorts = NonNullable<EndpointSlice['ports']>;
type Endpoint = Omit<NonNullable<EndpointSlice['endpoints']>[number], 'addresses'>;

/** Nodes `a`, `b`, `c` with the addresses 10.0.0.1, 2, 3 and the pod CIDRs 10.1.1.0/24, 10.1.2.0/24, 10.1.3.0/24. */
export function node(name: string, overrides: Partial<Node> = {}): Node {
  const index = name.charCodeAt(0) - 96;
  return {
    kind: 'Node',
    metadata: { name },
    spec: { podCIDRs: [`10.1.${index}.0/24`] },
    status: { addresses: [{ type: 'InternalIP', address: `10.0.0.${index}` }] },
    ...overrides,
  };
}

/** A service whose selector is `app: <name>`. */
export function service(name: string, ports: ServicePorts, spec: Partial<Service['spec']> = {}): Service {
  return {
    kind: 'Service',
    metadata: { name, namespace: 'ns' },
    spec: { selector: { app: name }, ports, ...spec },
  };
}

/**
 * The slice `<of>-1` of the service `of`, of the addresses' family; each address is one endpoint, a pod's. A slice of pods is
 * Kubernetes' own.
 */
export function slice(
  of: string,
  addresses: readonly string[],
  ports: SlicePorts,
  endpoint: Endpoint = { targetRef: { kind: 'Pod' } },
  name = `${of}-1`,
): EndpointSlice {
  return {
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace: 'ns',
      labels: {
        'kubernetes.io/service-name': of,
        ...(endpoint.targetRef?.kind === 'Pod'
          ? { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' }
          : {}),
      },
    },
    addressType: addresses[0]?.includes(':') === true ? 'IPv6' : 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], ...endpoint })),
    ports,
  };
}

type PodParts = Partial<Omit<Pod, 'spec' | 'metadata'>> & {
  readonly spec?: Pod['spec'];
  readonly metadata?: Partial<Pod['metadata']>;
};

/** A pod with the label `app: <name>`. */
export function pod(name: string, nodeName: string, { spec, metadata, ...rest }: PodParts = {}): Pod {
  return {
    kind: 'Pod',
    metadata: { name, namespace: 'ns', uid: `uid-${name}`, labels: { app: name }, ...metadata },
    spec: { nodeName, ...spec },
    ...rest,
  };
}

/** An item for the service of its own name, unless told otherwise. */
export function item(name: string, serviceports: unknown, more: object = {}): object {
  return { name, servicename: name, servicens: 'ns', serviceports, ...more };
}

/** `of`: the policy's name, or all of its metadata. */
export function policy(of: string | IPsecPolicy['metadata'], ...policies: unknown[]): IPsecPolicy {
  const metadata = typeof of === 'string' ? { name: of } : of;
  return { apiVersion: 'starlingx.io/v1', kind: 'IPsecPolicy', metadata, spec: { policies } };
}

/** Nodes `a`, `b` and `c`, and nothing else, unless told otherwise. */
export function cluster(objects: Partial<ClusterObjects>): ClusterObjects {
  return {
    services: [],
    endpointSlices: [],
    nodes: [node('a'), node('b'), node('c')],
    pods: [],
    policies: [],
    ...objects,
  };
}
