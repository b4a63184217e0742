import type { ClusterObjects } from '../../src/cluster/snapshot.ts';
import {
  clusterOf,
  DNS,
  DNS_ITEM,
  DNS6,
  dnsService,
  policyOf,
  TENANT_ITEM,
  tenantSlice,
} from '../hostile/cluster.ts';
import type { Flow } from '../ipsec/plan/flow.ts';
import type { Damage, Fault } from './faults.ts';
import type { Case } from './interference.ts';
import type { Life, LifeEvent } from './lives.ts';
import type { TenantWorld } from './tenants.ts';

/**
 * What the properties have found, shrunk and written by hand: they are tried first, each time. All but two failed in
 * version 0.1.0.
 */

const pods: TenantWorld['pods'] = [
  { namespace: 'kube-system', name: 'coredns-1', node: 'b', addresses: [DNS, DNS6], hostNetwork: false },
];
const options: TenantWorld['options'] = {
  childSaScope: 'service',
  strict: true,
  nodeTraffic: true,
  protectUnlisted: true,
};
const policies = [policyOf('p', DNS_ITEM), policyOf('q', TENANT_ITEM)];

function worldOf(after: ClusterObjects, before: ClusterObjects = clusterOf([], { policies })): TenantWorld {
  const without = { ...clusterOf([], { policies }), services: [dnsService] };
  return { before, after, without, pods, tenantFirst: false, options };
}

const changed = (after: ClusterObjects, flow: Partial<Flow>, before?: ClusterObjects): [Case] => [
  {
    world: worldOf(after, before),
    seed: 0,
    flows: [{ src: '10.244.1.9', dst: DNS, proto: 'udp', sport: 9, dport: 53, ...flow }],
  },
];
const slices = (...of: Parameters<typeof clusterOf>[0] & object): ClusterObjects =>
  clusterOf(of, { policies });
const API = [{ name: 'api', protocol: 'TCP', port: 6443 }];
const early = { ...TENANT_ITEM, name: 'aaa', serviceports: 'udp/53' };

export const INTERFERENCES: [Case][] = [
  // A slice that says where another's address lives.
  changed(slices(tenantSlice({ addresses: [DNS], nodeName: 'c' })), {}),
  changed(slices(tenantSlice({ addresses: [DNS6], nodeName: 'c' })), { src: 'fd00:1::9', dst: DNS6 }),
  // The address of a node, and one outside.
  changed(slices(tenantSlice({ addresses: ['192.0.2.12'], nodeName: 'c' }, API)), {
    dst: '192.0.2.12',
    proto: 'tcp',
    dport: 6443,
  }),
  changed(slices(tenantSlice({ addresses: ['192.0.2.12'] }, API)), {
    src: '203.0.113.9',
    dst: '192.0.2.12',
    proto: 'tcp',
    dport: 6443,
  }),
  changed(slices(tenantSlice({ addresses: ['203.0.113.9'], nodeName: 'c' })), {
    src: '192.0.2.11',
    dst: '203.0.113.9',
    proto: 'tcp',
    dport: 80,
  }),
  // A port more at another's protected pod.
  changed(slices(tenantSlice({ addresses: [DNS], nodeName: 'b' })), {
    src: '203.0.113.9',
    proto: 'tcp',
    dport: 80,
  }),
  // The item that sorts first owned the port, and the child of ICMP.
  changed(
    clusterOf([], { policies: [policyOf('p', DNS_ITEM), policyOf('q', early)] }),
    {},
    {
      ...clusterOf([], { policies: [policyOf('p', DNS_ITEM), policyOf('q', early)] }),
      services: [dnsService],
    },
  ),
  changed(
    clusterOf([], { policies: [policyOf('p', DNS_ITEM), policyOf('q', early)] }),
    { src: '192.0.2.11', proto: 'icmp', sport: 0, dport: 0 },
    {
      ...clusterOf([], { policies: [policyOf('p', DNS_ITEM), policyOf('q', early)] }),
      services: [dnsService],
    },
  ),
];

const fault = (
  list: Fault['list'],
  object: number,
  path: readonly (string | number)[],
  value: unknown,
): [Fault] => [
  {
    world: worldOf(slices(), slices(tenantSlice({ addresses: ['10.244.3.9'], nodeName: 'c' }))),
    list,
    object,
    field: 0,
    path,
    value: { kind: 'set', value } satisfies Damage,
  },
];

export const FAULTS: [Fault][] = [
  fault('endpointSlices', 2, ['ports', 0, 'port'], 70_000),
  fault('endpointSlices', 2, ['ports', 0, 'port'], -1),
  fault('endpointSlices', 2, ['ports', 0, 'port'], 0.5),
  fault('endpointSlices', 2, ['endpoints', 0, 'addresses', 0], 'x'.repeat(5_000)),
  fault('pods', 0, ['spec', 'containers', 0, 'ports', 0, 'containerPort'], 2 ** 31),
  fault('services', 1, ['spec', 'ports', 0, 'targetPort'], 70_000),
  fault('nodes', 1, ['spec', 'podCIDRs', 1], '::/0'),
  fault('nodes', 2, ['spec', 'podCIDRs', 0], '10.0.0.0/08'),
  fault('nodes', 2, ['spec', 'podCIDRs', 1], 'fd00::/064'),
  fault('nodes', 2, ['spec', 'podCIDRs', 0], '10.244.2.0/25'),
  fault('nodes', 2, ['status', 'addresses', 0, 'address'], 'a'.repeat(5_000)),
  fault('policies', 0, ['spec', 'policies', 0, 'serviceports'], 'a'.repeat(5_000)),
];

const life = (...events: readonly LifeEvent[]): [Life] => [
  {
    world: {
      ...worldOf(slices()),
      without: { ...slices(), services: [dnsService], policies: [policyOf('p-own', DNS_ITEM)] },
    },
    events: events.map((event) => ({ event, minutes: 1 })),
  },
];
const restart: LifeEvent = { kind: 'restart' };
const broken = (how: Extract<LifeEvent, { kind: 'break' }>['how']): LifeEvent => ({
  kind: 'break',
  item: 0,
  how,
});

export const LIVES: [Life][] = [
  life(broken('tcp/60-50'), restart),
  life(broken('nothing')),
  life(broken('name')),
  life({ kind: 'rename', item: 0 }),
  life({ kind: 'widen', item: 0 }, { kind: 'mend', item: 0 }),
  life({ kind: 'delete service', service: 0 }, restart),
  life({ kind: 'replace service', service: 0 }),
  life({ kind: 'empty', list: 'policies' }, restart, { kind: 'refill', list: 'policies' }),
  life({ kind: 'spoil node', node: 'a', how: 'no address' }, restart),
  life({ kind: 'empty', list: 'nodes' }, restart, broken('nothing'), { kind: 'refill', list: 'nodes' }),
];
