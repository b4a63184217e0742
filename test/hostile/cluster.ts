import type { buildNodeCache as buildNodeCacheOf } from '../../src/agent/model/model.ts';
import type { Model, ModelInput } from '../../src/agent/model/types.ts';
import type { EndpointSlice, IPsecPolicy, Node, Pod, Service } from '../../src/cluster/objects.ts';
import type { ClusterObjects } from '../../src/cluster/snapshot.ts';
import type { parseObject as parseObjectOf } from '../../src/cluster/sources/parse-object.ts';
import type { planConnections as planConnectionsOf } from '../../src/ipsec/plan/connections.ts';
import type { planPolicies as planPoliciesOf } from '../../src/ipsec/plan/plan.ts';
import type { ConnectionConfig, Direction, XfrmPolicy } from '../../src/ipsec/plan/types.ts';
import type { nodeCacheSchema as nodeCacheSchemaOf } from '../../src/rundir/schema.ts';
import { verdictOf } from '../properties/plans.ts';
import type { Load } from './row.ts';

/**
 * The cluster of the rows: nodes a, b and c with the pod CIDRs 10.244.1.0/24, 10.244.2.0/24, 10.244.3.0/24 and
 * the addresses 192.0.2.11, 12, 13. kube-dns is protected; its pod has 10.244.2.10 and fd00:2::10, on b. The
 * namespace `tenant` has a protected service `tenant-zz` without a selector.
 */

export const DNS = '10.244.2.10';
export const DNS6 = 'fd00:2::10';

export function nodeOf(name: string, more: Partial<Node> = {}): Node {
  const index = name.charCodeAt(0) - 96;
  const cidrs = [`10.244.${index}.0/24`, `fd00:${index}::/64`];
  return {
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR: `10.244.${index}.0/24`, podCIDRs: cidrs },
    status: { addresses: [{ type: 'InternalIP', address: `192.0.2.${10 + index}` }] },
    ...more,
  };
}

export const annotated = (name: string, annotations: Readonly<Record<string, string>>): Node =>
  nodeOf(name, { metadata: { name, annotations: { ...annotations } } });

export function policyOf(name: string, ...policies: readonly unknown[]): IPsecPolicy {
  return {
    apiVersion: 'starlingx.io/v1',
    kind: 'IPsecPolicy',
    metadata: { name },
    spec: { policies: [...policies] },
  };
}

export const DNS_ITEM = {
  name: 'kube-dns',
  servicename: 'kube-dns',
  servicens: 'kube-system',
  serviceports: 'udp/53,tcp/53',
};
export const TENANT_ITEM = {
  name: 'tenant-zz',
  servicename: 'tenant-zz',
  servicens: 'tenant',
  serviceports: 'tcp/80,udp/53,tcp/6443',
};

export const dnsService: Service = {
  kind: 'Service',
  metadata: { name: 'kube-dns', namespace: 'kube-system' },
  spec: {
    selector: { 'k8s-app': 'kube-dns' },
    clusterIP: '10.96.0.10',
    ipFamilies: ['IPv4', 'IPv6'],
    ports: [
      { name: 'dns', protocol: 'UDP', port: 53, targetPort: 53 },
      { name: 'dns-tcp', protocol: 'TCP', port: 53, targetPort: 53 },
    ],
  },
};

export const tenantService: Service = {
  kind: 'Service',
  metadata: { name: 'tenant-zz', namespace: 'tenant' },
  spec: {
    selector: null,
    ports: [
      { name: 'web', protocol: 'TCP', port: 80, targetPort: 80 },
      { name: 'dns', protocol: 'UDP', port: 53, targetPort: 53 },
      { name: 'api', protocol: 'TCP', port: 6443, targetPort: 6443 },
    ],
  },
};

export const dnsPod: Pod = {
  kind: 'Pod',
  metadata: { name: 'coredns-1', namespace: 'kube-system', uid: 'uid-1', labels: { 'k8s-app': 'kube-dns' } },
  spec: { nodeName: 'b', containers: [{ ports: [{ name: 'dns', containerPort: 53, protocol: 'UDP' }] }] },
  status: { phase: 'Running', podIP: DNS, podIPs: [{ ip: DNS }, { ip: DNS6 }] },
};

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

export function sliceOf(
  service: string,
  namespace: string,
  endpoints: readonly Endpoint[],
  ports: EndpointSlice['ports'] = [
    { name: 'dns', protocol: 'UDP', port: 53 },
    { name: 'dns-tcp', protocol: 'TCP', port: 53 },
  ],
  name = `${service}-1`,
): EndpointSlice {
  const managed = namespace === 'kube-system';
  return {
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace,
      labels: {
        'kubernetes.io/service-name': service,
        ...(managed ? { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' } : {}),
      },
    },
    addressType: endpoints[0]?.addresses[0]?.includes(':') === true ? 'IPv6' : 'IPv4',
    endpoints: [...endpoints],
    ports,
  };
}

const dnsTarget = { kind: 'Pod', name: 'coredns-1', namespace: 'kube-system' };
export const dnsSlices: readonly EndpointSlice[] = [
  sliceOf('kube-dns', 'kube-system', [{ addresses: [DNS], nodeName: 'b', targetRef: dnsTarget }]),
  sliceOf(
    'kube-dns',
    'kube-system',
    [{ addresses: [DNS6], nodeName: 'b', targetRef: dnsTarget }],
    undefined,
    'kube-dns-6',
  ),
];

/** A slice of the tenant's own service. */
export const tenantSlice = (
  endpoint: Endpoint,
  ports: EndpointSlice['ports'] = [{ name: 'web', protocol: 'TCP', port: 80 }],
): EndpointSlice => sliceOf('tenant-zz', 'tenant', [endpoint], ports);

/** The cluster, with more slices, and other things in place of what there is. */
export function clusterOf(
  slices: readonly EndpointSlice[] = [],
  more: Partial<ClusterObjects> = {},
): ClusterObjects {
  return {
    nodes: ['a', 'b', 'c'].map((name) => nodeOf(name)),
    services: [dnsService, tenantService],
    endpointSlices: [...dnsSlices, ...slices],
    pods: [dnsPod],
    policies: [policyOf('p', DNS_ITEM, TENANT_ITEM)],
    ...more,
  };
}

/** A node's model and plan, from the sources that are on trial. */
export interface Node0 {
  readonly model: Model;
  readonly policies: readonly XfrmPolicy[];
  readonly connections: readonly ConnectionConfig[];
  /** Why the cache is not valid; empty if it is. */
  readonly invalid: string;
  /** `<where>: <message>` */
  readonly problems: readonly string[];
}

export interface Reader extends Partial<Omit<ModelInput, 'objects' | 'nodeName' | 'previous'>> {
  readonly previous?: Node0;
}

/** What a node makes of a cluster. @throws ModelError, PlanError */
export async function readAs(
  load: Load,
  nodeName: string,
  objects: ClusterObjects,
  reader: Reader = {},
): Promise<Node0> {
  const { buildNodeCache } = await load<{ buildNodeCache: typeof buildNodeCacheOf }>(
    'src/agent/model/model.ts',
  );
  const { planPolicies } = await load<{ planPolicies: typeof planPoliciesOf }>('src/ipsec/plan/plan.ts');
  const { planConnections } = await load<{ planConnections: typeof planConnectionsOf }>(
    'src/ipsec/plan/connections.ts',
  );
  const { nodeCacheSchema } = await load<{ nodeCacheSchema: typeof nodeCacheSchemaOf }>(
    'src/rundir/schema.ts',
  );
  const { previous, ...more } = reader;
  const model = buildNodeCache({
    childSaScope: 'service',
    knownItems: previous?.model.knownItems ?? new Map(),
    ...(previous === undefined ? {} : { services: previous.model.services, reached: previous.model.reached }),
    now: 1,
    ...more,
    objects: { ...objects, pods: objects.pods.filter(({ spec }) => spec.nodeName === nodeName) },
    nodeName,
    previous: previous?.model.content ?? null,
  });
  const cache = { schema: 1 as const, generation: 1, writtenAt: 0, ...model.content };
  const checked = nodeCacheSchema.safeParse(cache);
  return {
    model,
    policies: planPolicies(cache, []),
    connections: planConnections(cache),
    invalid: checked.success ? '' : checked.error.message,
    problems: model.problems.map(({ where, message }) => `${where}: ${message}`),
  };
}

/** An object as a source hands it over, and what a problem says of it; no object if it is refused. */
export async function parsed<T>(
  load: Load,
  raw: T,
): Promise<{ readonly objects: readonly T[]; readonly problems: readonly string[] }> {
  const { parseObject } = await load<{ parseObject: typeof parseObjectOf }>(
    'src/cluster/sources/parse-object.ts',
  );
  const found = parseObject(raw);
  return typeof found === 'object'
    ? { objects: [found.object as T], problems: found.flaw === undefined ? [] : [found.flaw] }
    : { objects: [], problems: [found ?? 'not read'] };
}

/** What a node's policies say of a packet, as one line: `plaintext`, `use b`, `required b`, by the other end. */
export function said(
  { policies, model }: Node0,
  dir: Direction | 'inbound',
  [src, dst, proto, dport]: readonly [string, string, string, number],
): string {
  const flow = { src, dst, proto, sport: 40_000, dport };
  const { policies: first } = verdictOf(policies, dir === 'inbound' ? ['in', 'fwd'] : [dir], flow);
  const peers = model.content.peers;
  const ends = first.map(({ dir: at, template }) => {
    const other = at === 'out' ? template.dst : template.src;
    return `${template.level} ${peers.find(({ addresses }) => addresses.includes(other))?.name ?? other}`;
  });
  return ends.length === 0 ? 'plaintext' : [...new Set(ends)].sort().join(' or ');
}
