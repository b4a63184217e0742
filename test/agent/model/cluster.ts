import { buildNodeCache } from '../../../src/agent/model/model.ts';
import type { Model, ModelInput } from '../../../src/agent/model/types.ts';
import type {
  ClusterObjects,
  EndpointSlice,
  IPsecPolicy,
  Node,
  Pod,
  Service,
} from '../../../src/cluster/objects.ts';

type ServicePorts = NonNullable<Service['spec']['ports']>;
type SlicePorts = NonNullable<EndpointSlice['ports']>;

/** Nodes `a`, `b`, `c` with 10.0.0.x and 10.1.x.0/24. */
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

export function service(name: string, ports: ServicePorts, spec: Partial<Service['spec']> = {}): Service {
  return {
    kind: 'Service',
    metadata: { name, namespace: 'ns' },
    spec: { selector: { app: name }, ports, ...spec },
  };
}

export function slice(
  name: string,
  addresses: readonly string[],
  ports: SlicePorts,
  endpoint: { nodeName?: string; targetRef?: { kind: string } } = { targetRef: { kind: 'Pod' } },
): EndpointSlice {
  return {
    kind: 'EndpointSlice',
    metadata: { name: `${name}-1`, namespace: 'ns', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], ...endpoint })),
    ports,
  };
}

type PodParts = Partial<Omit<Pod, 'spec' | 'metadata'>> & {
  readonly spec?: Pod['spec'];
  readonly metadata?: Partial<Pod['metadata']>;
};

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

export function policy(name: string, ...policies: unknown[]): IPsecPolicy {
  return { apiVersion: 'starlingx.io/v1', kind: 'IPsecPolicy', metadata: { name }, spec: { policies } };
}

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

export function build(objects: Partial<ClusterObjects>, input: Partial<ModelInput> = {}): Model {
  return buildNodeCache({
    objects: cluster(objects),
    nodeName: 'a',
    childSaScope: 'service',
    previous: null,
    knownItems: new Map(),
    now: 0,
    ...input,
  });
}

export function messages({ problems }: Pick<Model, 'problems'>): string[] {
  return problems.map(({ where, message }) => `${where}: ${message}`);
}
