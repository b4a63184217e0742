import { equal, ok } from 'node:assert/strict';
import type { createModeller as createModellerOf } from '../../../src/agent/model/modeller.ts';
import type { LifeEvent } from '../../properties/lives.ts';
import { forgotten } from '../../properties/lives.ts';
import { startWith } from '../../properties/start.ts';
import { clusterOf, DNS, DNS_ITEM, DNS6, nodeOf, policyOf, readAs, said } from '../cluster.ts';
import type { HostileRow, Load, Mutation } from '../row.ts';

const MODEL = 'src/agent/model/model.ts';
const ITEMS: Mutation = {
  file: 'src/cluster/policies/items.ts',
  from: 'refused.length === 0 && whole ? [] : lacking.slice(0, BOUNDS.itemsPerPolicy)',
  to: '[] as typeof lacking',
};
const PHASES: Mutation = {
  file: 'src/agent/model/phases.ts',
  from: "phases?.get(port.policy) ?? 'require', ...same]",
  to: "phases?.get(port.policy) ?? 'require']",
};
const NODES: Mutation = {
  file: MODEL,
  from: 'nodesBefore(previous?.node, previous?.peers ?? NO_PEERS, nodeName)',
  to: '[]',
};
const SERVICES: Mutation = { file: MODEL, from: 'input.services ?? new Map()', to: 'new Map()' };
const LISTS: Mutation = {
  file: MODEL,
  from: 'const { previous, now, unread = {}, held = {} } = input;',
  to: 'const { previous, now, unread = {} } = input; const held: Record<string, never> = {};',
};

/**
 * What was required at kube-dns' pod stays so while all this happens, on agents that live on or are
 * restarted.
 */
async function remembered(load: Load, minutes: number, ...events: readonly LifeEvent[]): Promise<void> {
  const { createModeller } = await load<{ createModeller: typeof createModellerOf }>(
    'src/agent/model/modeller.ts',
  );
  const cluster = clusterOf([], { policies: [policyOf('p-own', DNS_ITEM)] });
  const own = {
    ...cluster,
    services: cluster.services.filter(({ metadata: { namespace } }) => namespace === 'kube-system'),
    nodes: ['a', 'b', 'c'].map((name) => nodeOf(name)),
  };
  const world = {
    before: own,
    after: own,
    without: own,
    tenantFirst: false,
    pods: [
      {
        namespace: 'kube-system',
        name: 'coredns-1',
        node: 'b',
        addresses: [DNS, DNS6],
        hostNetwork: false,
      } as const,
    ],
    options: { childSaScope: 'service', strict: false, nodeTraffic: true, protectUnlisted: true } as const,
  };
  const counted = { flows: 0 };
  const restart = { event: { kind: 'restart' } as const, minutes: 0 };
  const lived = events.map((event) => ({ event, minutes }));
  for (const life of [
    lived,
    lived.flatMap((one) => [one, restart]),
    [...lived, restart, ...lived.slice(-1)],
  ]) {
    equal(forgotten({ world, events: life }, startWith(createModeller), counted) ?? '', '');
  }
  equal(counted.flows > 0, true);
}

const row = (
  id: string,
  title: string,
  {
    who = 'broken object',
    did,
    mutation,
  }: Partial<Pick<HostileRow, 'who'>> & Pick<HostileRow, 'did' | 'mutation'>,
  ...events: readonly LifeEvent[]
): HostileRow => ({
  id,
  title,
  who,
  did,
  now: 'what was accepted stays in force, through restarts',
  // Only a Node that is there, though malformed, is kept for as long as it takes.
  check: (load) => remembered(load, id >= '11d' && id <= '11f' ? 25 : 1, ...events),
  mutation,
});

const breaks = (how: Extract<LifeEvent, { kind: 'break' }>['how']): LifeEvent => ({
  kind: 'break',
  item: 0,
  how,
});
const spoils = (
  how: Extract<LifeEvent, { kind: 'spoil node' }>['how'],
  node: 'a' | 'b' | 'c' = 'a',
): LifeEvent => ({
  kind: 'spoil node',
  node,
  how,
});

export const MEMORY: readonly HostileRow[] = [
  row(
    '11a',
    'an edit that breaks an item (tcp/60-50), and a restart',
    { did: '0 policies', mutation: ITEMS },
    breaks('tcp/60-50'),
  ),
  row(
    '11b',
    'an item that is null, or a number for its ports',
    { did: '0 policies at once', mutation: ITEMS },
    breaks('nothing'),
    breaks('policies'),
  ),
  row(
    '11c',
    'an item whose name is malformed',
    { did: '0 policies at once', mutation: ITEMS },
    breaks('name'),
  ),
  row(
    '11d',
    'a Node without an InternalIP for a moment',
    { who: 'kubelet', did: 'plaintext after 21 minutes, or at once', mutation: NODES },
    spoils('no address'),
    spoils('no address', 'b'),
  ),
  row(
    '11e',
    'a typo in the annotation of a Node',
    { did: 'as 11d', mutation: NODES },
    spoils('bad annotation'),
    spoils('bad CIDR', 'c'),
  ),
  row(
    '11f',
    'a Node that cannot be read, or lost its pod CIDR',
    { did: 'as 11d', mutation: NODES },
    spoils('unread'),
    spoils('no CIDR', 'c'),
  ),
  row(
    '11g',
    'an item that is renamed',
    { did: 'ports went back to Accepting: plaintext', mutation: PHASES },
    { kind: 'rename', item: 0 },
  ),
  row('11h', '`servicename` changed to `*`', { did: 'as 11g', mutation: PHASES }, { kind: 'widen', item: 0 }),
  row(
    '11i',
    'an item that moves to another policy',
    { did: 'as 11g', mutation: PHASES },
    { kind: 'split', item: 0 },
    { kind: 'rename', item: 0 },
  ),
  row(
    '11j',
    'renamed, and broken with the same edit',
    { did: '0 policies', mutation: ITEMS },
    { kind: 'rename', item: 0 },
    breaks(''),
  ),
  row(
    '12a',
    'the Service is deleted',
    { who: 'namespace user', did: 'its running pods were unprotected at once', mutation: SERVICES },
    { kind: 'delete service', service: 0 },
  ),
  row(
    '12b',
    'the Service is replaced with --force',
    { who: 'namespace user', did: 'as 12a', mutation: SERVICES },
    { kind: 'replace service', service: 0 },
  ),
  row(
    '12c',
    'the Service is deleted, and the item broken',
    { who: 'namespace user', did: 'as 12a', mutation: SERVICES },
    { kind: 'delete service', service: 0 },
    breaks('tcp/60-50'),
  ),
  row(
    '12d',
    'a list without any IPsecPolicy',
    { did: '0 policies at once', mutation: LISTS },
    { kind: 'empty', list: 'policies' },
  ),
  {
    id: '12e',
    title: 'a list of Nodes that has this one alone',
    who: 'broken object',
    did: 'nothing got through to the peers any more',
    now: 'Nodes that nobody has seen deleted are believed to be there for 10 minutes, with a warning',
    check: async (load) => {
      const { createModeller } = await load<{ createModeller: typeof createModellerOf }>(
        'src/agent/model/modeller.ts',
      );
      let now = 1_700_000_000_000;
      const take = startWith(createModeller)({
        nodeName: 'a',
        options: { childSaScope: 'service', strict: false, nodeTraffic: false, protectUnlisted: true },
        cache: null,
        runDir: new Map(),
        now: () => now,
      });
      const objects = clusterOf();
      take({ objects, problems: [], stale: '' });
      const missing = { nodes: new Set(['b', 'c']) };
      const alone = { objects: { ...objects, nodes: [nodeOf('a')] }, problems: [], missing, stale: '' };
      take(alone);
      now += 5 * 60_000;
      const { peers } = take(alone);
      equal(peers.map(({ name }) => name).join(), 'b,c');
    },
    mutation: LISTS,
  },
  row(
    '12f',
    'empty lists of both, and the Service deleted',
    { did: '0 policies', mutation: LISTS },
    { kind: 'empty', list: 'nodes' },
    { kind: 'empty', list: 'policies' },
    { kind: 'delete service', service: 0 },
    { kind: 'refill', list: 'nodes' },
  ),
  {
    id: '11k',
    title: 'a Node without an InternalIP, for an agent that has no cache',
    who: 'kubelet',
    did: 'plaintext with its pods',
    now: 'nothing goes there, and nothing of a protected port comes from there',
    check: async (load) => {
      const silent = nodeOf('c', { status: { addresses: [] } });
      const b = await readAs(load, 'b', clusterOf([], { nodes: [nodeOf('a'), nodeOf('b'), silent] }));
      ok(said(b, 'inbound', ['10.244.3.9', DNS, 'udp', 53]).startsWith('required'));
      ok(said(b, 'out', ['10.244.2.10', '10.244.3.9', 'udp', 53]).startsWith('required'));
    },
    mutation: {
      file: 'src/cluster/nodes.ts',
      from: 'addressless.push({ name, podCidrs: node.podCidrs });',
      to: '',
    },
  },
];
