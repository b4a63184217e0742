import test from 'ava';
import fc from 'fast-check';
import { DEPARTED_MS } from '../../../../src/agent/model/departed.ts';
import type { IPsecPolicy, Node } from '../../../../src/cluster/objects.ts';
import type { ClusterObjects, Snapshot } from '../../../../src/cluster/snapshot.ts';
import { lastingNode } from '../../../helpers/unit/lasting-node.ts';
import { item, node, pod, policy, service, slice } from '../../../helpers/unit/objects.ts';

const WEB = [{ name: 'http', port: 80, protocol: 'TCP' }];
const ADDRESS = '10.1.1.5';

/** What the world is like at one time: the policy is there, in one form or another, and so are the nodes. */
interface Draft {
  /** Items that all protect the port, or that nobody understands. */
  readonly items: readonly object[] | undefined;
  readonly phase: 'Accepting' | 'Required';
  readonly service: 'there' | 'gone' | 'back without slices';
  readonly nodes: readonly ('good' | 'no address' | 'no CIDR' | 'malformed' | 'unread')[];
  /** Lists that are empty although nobody has seen anything deleted. */
  readonly emptied: readonly ('policies' | 'nodes' | 'pods' | 'services')[];
  /** The policy or pod cannot be read by the source. */
  readonly unread: readonly ('policies' | 'pods')[];
  readonly restart: boolean;
  readonly wall: number;
}

const good: fc.Arbitrary<readonly object[]> = fc.constantFrom(
  [item('web', 'tcp/80')],
  [item('renamed', 'tcp/80', { servicename: 'web' })],
  [item('web', 'tcp/80', { servicename: 'web' }), item('other', 'udp/1', { servicename: 'web' })],
  [item('web', 'tcp/*')],
  [item('web', '*')],
  [item('one', 'tcp/1-79', { servicename: 'web' }), item('two', 'tcp/80-90', { servicename: 'web' })],
);
const broken: fc.Arbitrary<readonly object[] | undefined> = fc.constantFrom(
  undefined,
  [item('web', 'tcp/60-50')],
  [item('Web!', 'tcp/80')],
  [{}],
  [item('fine', 'tcp/1', { servicename: 'web' }), item('bad', '')],
);
const state = fc.constantFrom('good', 'no address', 'no CIDR', 'malformed', 'unread') as fc.Arbitrary<
  Draft['nodes'][number]
>;
const draft: fc.Arbitrary<Draft> = fc.record({
  items: fc.oneof(good, broken),
  phase: fc.constantFrom('Accepting', 'Required'),
  service: fc.constantFrom('there', 'gone', 'back without slices'),
  nodes: fc.tuple(state, state, state),
  emptied: fc.subarray(['policies', 'nodes', 'pods', 'services']),
  unread: fc.subarray(['policies', 'pods']),
  restart: fc.boolean(),
  wall: fc.constantFrom(0, 0, -5 * 3_600_000, 5 * 3_600_000),
});

const FORMS: Readonly<Record<Draft['nodes'][number], Partial<Node>>> = {
  good: {},
  unread: {},
  'no address': { status: { addresses: [] } },
  'no CIDR': { spec: {} },
  malformed: { spec: { podCIDRs: ['10.1.2.0/99'] } },
};

function snapshotOf(
  one: Draft,
  generation: number,
): [Partial<ClusterObjects>, Pick<Snapshot, 'unread' | 'missing'>] {
  const metadata = { name: 'p', uid: 'u', generation };
  const written: IPsecPolicy = {
    ...policy(metadata, ...(one.items ?? [])),
    ...(one.items === undefined ? { spec: {} } : {}),
    status: { observedGeneration: generation, phase: one.phase },
  };
  const readable = ['a', 'b', 'c'].filter((_, index) => one.nodes[index] !== 'unread');
  const objects: ClusterObjects = {
    policies: one.unread.includes('policies') ? [] : [written],
    services: one.service === 'gone' ? [] : [service('web', [{ name: 'http', port: 80 }])],
    endpointSlices: one.service === 'there' ? [slice('web', [ADDRESS], WEB)] : [],
    pods: one.unread.includes('pods') ? [] : [pod('web', 'a')],
    nodes: readable.map((name) => node(name, FORMS[one.nodes['abc'.indexOf(name)] ?? 'good'])),
  };
  const empty = (list: Draft['emptied'][number]): boolean => one.emptied.includes(list);
  const names = {
    policies: ['p'],
    nodes: ['a', 'b', 'c'],
    pods: ['ns/web'],
    services: ['ns/web'],
  };
  const unreadNodes = ['a', 'b', 'c'].filter((name) => !readable.includes(name));
  return [
    { ...objects, ...Object.fromEntries(one.emptied.map((list) => [list, []])) },
    {
      missing: Object.fromEntries(one.emptied.map((list) => [list, new Set(names[list])])),
      unread: {
        ...(empty('nodes') ? {} : { nodes: new Set(unreadNodes) }),
        ...(one.unread.includes('policies') && !empty('policies') ? { policies: new Set(['p']) } : {}),
        ...(one.unread.includes('pods') && !empty('pods') ? { pods: new Set(['ns/web']) } : {}),
      },
    },
  ];
}

test('no sequence of breaks, renames, deletions and restarts takes a port that was required out of force', (t) => {
  fc.assert(
    fc.property(fc.array(draft, { minLength: 1, maxLength: 6 }), (drafts) => {
      const one = lastingNode({ web: ADDRESS });
      const start: Draft = {
        items: [item('web', 'tcp/80')],
        phase: 'Required',
        service: 'there',
        nodes: ['good', 'good', 'good'],
        emptied: [],
        unread: [],
        restart: false,
        wall: 0,
      };
      return [start, ...drafts].every((each, index) => {
        if (each.restart) {
          one.restart(each.wall);
        }
        // Lists that are empty for longer are believed: that is not what is tried here.
        one.wait(each.emptied.length === 0 ? 2 * DEPARTED_MS : 1);
        one.see(...snapshotOf(each, index + 1));
        return one.requires(ADDRESS, 80);
      });
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});
