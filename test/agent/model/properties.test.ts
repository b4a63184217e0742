import test from 'ava';
import fc from 'fast-check';
import { assignReqids } from '../../../src/agent/model/reqids.ts';
import type { EndpointSlice } from '../../../src/cluster/objects.ts';
import type { KnownItems } from '../../../src/cluster/policies/items.ts';
import type { ClusterObjects } from '../../../src/cluster/snapshot.ts';
import { isOurReqid, REQID_FIRST, REQID_LAST } from '../../../src/ipsec/plan/ours.ts';
import type { Phase } from '../../../src/ipsec/plan/types.ts';
import { build } from '../../helpers/unit/model.ts';
import { cluster, item, node, pod, policy, service, slice } from '../../helpers/unit/objects.ts';
import { worlds } from '../../helpers/unit/worlds.ts';

const objects = worlds().map((world) => world.objects);

const shuffled = (of: ClusterObjects): fc.Arbitrary<ClusterObjects> => {
  const mixed = <T>(list: readonly T[]): fc.Arbitrary<T[]> =>
    fc.shuffledSubarray([...list], { minLength: list.length });
  return fc.record({
    services: mixed(of.services),
    endpointSlices: mixed(of.endpointSlices),
    nodes: mixed(of.nodes),
    pods: mixed(of.pods),
    policies: mixed(of.policies),
  });
};

test('the order of objects never matters', (t) => {
  fc.assert(
    fc.property(
      objects.chain((one) => fc.tuple(fc.constant(one), shuffled(one))),
      ([one, other]) => JSON.stringify(build(one).content) === JSON.stringify(build(other).content),
    ),
  );
  t.pass();
});

const LISTS = ['services', 'endpointSlices', 'pods', 'policies', 'nodes'] as const;
const PHASES = ['accept', 'send', 'require'] as const;

interface Event {
  readonly objects: ClusterObjects;
  readonly phases: ReadonlyMap<string, Phase>;
}

const others = fc
  .tuple(objects, fc.subarray(['b', 'c', 'd']))
  .map(([of, names]): ClusterObjects => ({ ...of, nodes: ['a', ...names].map((name) => node(name)) }));

/** Each event brings one list of another cluster. */
const history: fc.Arbitrary<readonly Event[]> = fc
  .tuple(
    objects,
    fc.array(fc.tuple(fc.constantFrom(...LISTS), others, fc.constantFrom(...PHASES)), { maxLength: 8 }),
  )
  .map(([first, changes]) => {
    const all: Event[] = [{ objects: first, phases: new Map() }];
    for (const [list, other, phase] of changes) {
      const before = all.at(-1)?.objects ?? first;
      all.push({ objects: { ...before, [list]: other[list] }, phases: new Map([['p-0', phase]]) });
    }
    return all;
  });

/** As a source has it: what says the same is the same object, and a list of the same objects the same list. */
function recognizing(): (objects: ClusterObjects) => ClusterObjects {
  const known = new Map<string, unknown>();
  const keep = <T>(value: T): T => {
    const text = JSON.stringify(value);
    known.set(text, known.get(text) ?? value);
    return known.get(text) as T;
  };
  return (given) =>
    Object.fromEntries(
      Object.entries(given).map(([list, all]) => [list, keep(all.map((one: object) => keep(one)))]),
    ) as unknown as ClusterObjects;
}

function replay(events: readonly Event[], given: (objects: ClusterObjects) => ClusterObjects): string[] {
  let model: ReturnType<typeof build> | undefined;
  return events.map((event) => {
    const { phases } = event;
    const before = { previous: model?.content ?? null, knownItems: model?.knownItems ?? new Map() };
    model = build(given(event.objects), { ...before, phases });
    return JSON.stringify([model.content, model.problems, [...model.knownItems]]);
  });
}

test('what is remembered from one event to the next does not show', (t) => {
  fc.assert(
    fc.property(history, (events) => {
      const remembering = replay(events, recognizing());
      return JSON.stringify(remembering) === JSON.stringify(replay(events, structuredClone));
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test('an event leaves what it does not concern as it was, object by object', (t) => {
  const services = [service('api', [{ port: 1 }]), service('web', [{ port: 2 }])];
  const policies = [policy('p', item('api', 'tcp/1'), item('web', 'tcp/2'))];
  const api = slice('api', ['10.1.2.1'], [{ port: 1 }]);
  const web = (last: number): EndpointSlice => slice('web', [`10.1.3.${last}`], [{ port: 2 }]);
  const common = { services, policies, nodes: cluster({}).nodes, pods: [pod('x', 'a')] };
  const first = build({ ...common, endpointSlices: [api, web(1)] });
  const { content } = build(
    { ...common, endpointSlices: [api, web(2)] },
    { previous: first.content, knownItems: first.knownItems },
  );
  const before = first.content;
  t.is(content.peers, before.peers);
  t.is(content.pods, before.pods);
  t.is(content.children, before.children);
  t.is(content.entries[0], before.entries[0]);
  t.is(content.endpoints[0], before.endpoints[0]);
  t.not(content.endpoints[1], before.endpoints[1]);
});

test('a port that another service has now stays in its own child', (t) => {
  const services = [service('api', [{ port: 1, targetPort: 'www' }]), service('web', [{ port: 5 }])];
  const policies = [policy('p', item('api', 'tcp/1'), item('web', 'tcp/5'))];
  const web = slice('web', ['10.1.3.1'], [{ port: 5 }]);
  const common = { services, policies, nodes: cluster({}).nodes, pods: [] };
  let known: KnownItems = new Map();
  const childAt = (port: number): string | undefined => {
    const api = slice('api', ['10.1.2.1'], [{ port }]);
    const { content, knownItems } = build({ ...common, endpointSlices: [api, web] }, { knownItems: known });
    known = knownItems;
    return content.endpoints.find(({ address }) => address === '10.1.3.1')?.ports[0]?.child;
  };
  t.deepEqual([childAt(6), childAt(5)], ['tcp_web', 'tcp_web']);
});

test('what is remembered for one node is not another one’s', (t) => {
  const one = cluster({
    services: [service('web', [{ port: 5 }])],
    policies: [policy('p', item('web', 'tcp/5'))],
    endpointSlices: [slice('web', ['10.1.1.1', '10.1.2.1'], [{ port: 5 }])],
  });
  const { knownItems } = build(one);
  const remote = (nodeName: string): string[] =>
    build(one, { nodeName, knownItems }).content.endpoints.map(({ address }) => address);
  t.deepEqual([remote('a'), remote('b')], [['10.1.2.1'], ['10.1.1.1']]);
});

test('no child is empty but a wide one, and none is there twice', (t) => {
  fc.assert(
    fc.property(objects, (one) => {
      const { children } = build(one).content;
      return (
        new Set(children.map(({ name }) => name)).size === children.length &&
        children.every(({ name, ports }) => (ports.length === 0) === /^pods(_|$)/.test(name))
      );
    }),
  );
  t.pass();
});

test('a port of an entry is in a child of its own, whatever other entries there are', (t) => {
  fc.assert(
    fc.property(objects, fc.nat(), (one, index) => {
      const { entries, children, mesh } = build(one).content;
      const left = one.policies[index % Math.max(1, one.policies.length)];
      const alone = build({ ...one, policies: left === undefined ? [] : [left] }).content;
      return (
        mesh ||
        alone.mesh ||
        alone.children.every(
          ({ name, ports }) =>
            entries.every((entry) => !alone.entries.some((own) => own.name === entry.name)) ||
            ports.every((port) => children.find((child) => child.name === name)?.ports.includes(port)),
        )
      );
    }),
  );
  t.pass();
});

test('all nodes agree on children and entries', (t) => {
  fc.assert(
    fc.property(objects, (one) => {
      const [a, b, c] = ['a', 'b', 'c'].map((nodeName) => {
        const { children, entries, mesh } = build(one, { nodeName }).content;
        return JSON.stringify({ children, entries, mesh });
      });
      return a === b && b === c;
    }),
  );
  t.pass();
});

test('every protected port at a peer names a child that exists and carries it', (t) => {
  fc.assert(
    fc.property(objects, (one) => {
      const { children, endpoints } = build(one).content;
      return endpoints.every(({ ports }) =>
        ports.every((each) => {
          const child = children.find(({ name }) => name === each.child);
          return child !== undefined && (each.port === 0 || child.ports.includes(each.port));
        }),
      );
    }),
  );
  t.pass();
});

test('reqids are ours, unique, and stay when the cluster changes', (t) => {
  fc.assert(
    fc.property(objects, objects, (one, other) => {
      const first = build(one).content;
      const second = build({ ...other, nodes: [...other.nodes, node('d')] }, { previous: first }).content;
      const all = second.peers.flatMap(({ reqids }) => Object.values(reqids));
      const kept = second.peers.every(({ name, reqids }) => {
        const before = first.peers.find((peer) => peer.name === name)?.reqids ?? {};
        return Object.entries(reqids).every(([config, reqid]) => (before[config] ?? reqid) === reqid);
      });
      return kept && all.every(isOurReqid) && new Set(all).size === all.length;
    }),
  );
  t.pass();
});

test('a lost cache usually gives the same reqids', (t) => {
  const one = assignReqids(['b', 'c'], ['tcp_web_egress', 'tcp_web_ingress'], new Map());
  const other = assignReqids(
    ['b', 'c', 'd'],
    ['tcp_api_egress', 'tcp_web_egress', 'tcp_web_ingress'],
    new Map(),
  );
  t.like(other.get('b') ?? {}, one.get('b') ?? {});
  t.like(other.get('c') ?? {}, one.get('c') ?? {});
});

test('two configurations that hash alike get two reqids, and a former reqid that is not ours is replaced', (t) => {
  const hashed = assignReqids(['b'], ['x'], new Map()).get('b')?.x ?? 0;
  const reqids = assignReqids(['b'], ['w', 'x'], new Map([['b', { w: hashed }]])).get('b');
  t.deepEqual(reqids, { w: hashed, x: hashed === REQID_LAST ? REQID_FIRST : hashed + 1 });
  t.deepEqual(assignReqids(['b'], ['x'], new Map([['b', { x: 7 }]])).get('b'), { x: hashed });
});

test('what a peer that left had as a reqid is nobody else’s', (t) => {
  const hashed = assignReqids(['b'], ['x'], new Map()).get('b')?.x ?? 0;
  const reqids = assignReqids(['b'], ['x'], new Map([['gone', { x: hashed }]])).get('b');
  t.not(reqids?.x, hashed);
});
