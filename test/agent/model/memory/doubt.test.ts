import test from 'ava';
import { DOUBT_MS } from '../../../../src/agent/model/memory/doubt.ts';
import type { ClusterObjects } from '../../../../src/cluster/snapshot.ts';
import { lastingNode } from '../../../helpers/unit/lasting-node.ts';
import { item, node, pod, policy, service, slice } from '../../../helpers/unit/objects.ts';

const world = {
  services: [service('web', [{ port: 80 }])],
  pods: [pod('web', 'a')],
  policies: [policy('p', item('web', 'tcp/80')), policy('q', item('db', 'tcp/81'))],
  nodes: ['a', 'b', 'c', 'd', 'e'].map((name) => node(name)),
};
const POD = { web: '10.1.1.5' };

const doubted = test.macro({
  exec(
    t,
    less: Partial<ClusterObjects>,
    missing: Partial<Record<keyof ClusterObjects, string[]>>,
    message: RegExp,
  ) {
    for (const restarts of [false, true]) {
      const one = lastingNode(POD);
      const before = one.see(world);
      if (restarts) {
        one.restart();
      }
      const names = Object.entries(missing).map(([list, all]) => [list, new Set(all)]);
      const more = restarts ? {} : { missing: Object.fromEntries(names) };
      const { entries, peers, pods } = one.see({ ...world, ...less }, more);
      t.deepEqual(
        { entries, peers, pods },
        { entries: before.entries, peers: before.peers, pods: before.pods },
      );
      t.regex(one.problems().join(), message);
      one.wait(DOUBT_MS - 1);
      t.false(one.due());
      const still = one.see({ ...world, ...less }, more);
      t.deepEqual([still.entries, still.peers, still.pods], [entries, peers, pods]);
      one.wait(1);
      t.true(one.due());
      const after = one.see({ ...world, ...less }, more);
      t.notDeepEqual([after.entries, after.peers, after.pods], [entries, peers, pods], 'believed');
      one.see({ ...world, ...less }, more);
      t.notRegex(one.problems().join(), message);
    }
  },
  title: (given) => `doubted: ${given}`,
});
test(
  'a list without any policy',
  doubted,
  { policies: [] },
  { policies: ['p', 'q'] },
  /IPsecPolicies: 2 .*for 10 min/,
);
test(
  'most Nodes at once',
  doubted,
  { nodes: [node('a'), node('b')] },
  { nodes: ['c', 'd', 'e'] },
  /Nodes: 3 .*c, d, e/,
);
test(
  'a list without any pod of this node',
  doubted,
  { pods: [] },
  { pods: ['ns/web'] },
  /Pods of this node: 1 /,
);

test('what is seen to go has gone', (t) => {
  const one = lastingNode(POD);
  one.see(world);
  const { peers } = one.see({ ...world, nodes: [node('a'), node('b')] });
  t.is(peers.length, 1);
  one.see({ ...world, policies: [] });
  t.false(one.requires('10.1.1.5', 80));
});

test('a few that a new list lacks have gone', (t) => {
  const one = lastingNode(POD);
  one.see(world);
  one.restart();
  const { peers, entries } = one.see({
    ...world,
    nodes: world.nodes.slice(0, 3),
    policies: world.policies.slice(1),
  });
  t.deepEqual([peers.length, entries.length], [2, 0]);
});

test('what comes back is doubted no more, and doubts begin anew', (t) => {
  const one = lastingNode(POD);
  one.see(world);
  const missing = { policies: new Set(['p', 'q']) };
  one.see({ ...world, policies: [] }, { missing });
  one.wait(DOUBT_MS - 1);
  one.see(world);
  t.false(one.problems().join().includes('IPsecPolicies'));
  one.see({ ...world, policies: [] }, { missing });
  one.wait(DOUBT_MS - 1);
  one.see({ ...world, policies: [] }, { missing });
  t.true(one.requires('10.1.1.5', 80));
});

test('the whole cluster seems gone: everything stays', (t) => {
  const one = lastingNode(POD);
  const before = one.see(world);
  one.restart();
  const { entries, peers, node: own } = one.see({ policies: [], nodes: [], services: [], pods: [] });
  t.deepEqual({ entries, peers, own }, { entries: before.entries, peers: before.peers, own: before.node });
  t.true(one.requires('10.1.1.5', 80));
});

test('Calico’s blocks: without any, nodes do not move to other pod CIDRs', (t) => {
  const one = lastingNode(POD);
  const blockAffinities = ['a', 'b', 'c', 'd', 'e'].map((name, index) => ({
    kind: 'BlockAffinity' as const,
    metadata: { name: `${name}-block` },
    spec: { node: name, cidr: `10.9.${index}.0/24` },
  }));
  const before = one.see({ ...world, blockAffinities });
  const missing = { blockAffinities: new Set(blockAffinities.map(({ metadata }) => metadata.name)) };
  const after = one.see({ ...world, blockAffinities: [] }, { missing });
  t.deepEqual(after.peers, before.peers);
});

test('a file that an agent finds broken at its start may hold whatever is not seen', (t) => {
  const one = lastingNode(POD);
  one.see(world);
  one.restart();
  const half = { ...world, policies: world.policies.slice(1), nodes: world.nodes.slice(0, 4), pods: [] };
  for (let agent = 0; agent < 2; agent += 1) {
    const { peers } = one.see(half, { opaque: true });
    t.is(peers.length, 4);
    t.true(one.requires('10.1.1.5', 80));
    one.wait(2 * DOUBT_MS);
  }
  const deleted = { ...half, nodes: world.nodes.slice(0, 3) };
  t.is(one.see(deleted, { opaque: true }).peers.length, 3, 'what was seen since is not in it');
  one.see({ ...half, pods: world.pods });
  t.false(one.requires('10.1.1.5', 80), 'mended: nothing hides there');
});

test('a pod that cannot be read keeps what it serves', (t) => {
  const one = lastingNode(POD);
  one.see(world);
  one.restart();
  one.see({ ...world, pods: [] }, { unread: { pods: new Set(['ns/web']) } });
  one.wait(2 * DOUBT_MS);
  one.see({ ...world, pods: [] }, { unread: { pods: new Set(['ns/web']) } });
  t.true(one.requires('10.1.1.5', 80));
});

test('a list without any slice, that nobody saw go, changes nothing for ten minutes', (t) => {
  for (const ports of ['tcp/*', '*', 'tcp/80']) {
    const one = lastingNode();
    const endpointSlices = [slice('web', ['10.1.2.7'], [{ name: '', port: 80, protocol: 'TCP' }])];
    const policies = [policy('p', item('web', ports))];
    const before = one.see({ ...world, policies, endpointSlices });
    const missing = { endpointSlices: new Set(['ns/web-1']) };
    t.deepEqual(one.see({ ...world, policies, endpointSlices: [] }, { missing }).endpoints, before.endpoints);
    t.true(one.sends('10.1.2.7', 80));
    t.regex(one.problems().join(), /EndpointSlices: 1 .*\(ns\/web-1\)/);
    one.wait(DOUBT_MS);
    t.true(one.due());
    t.deepEqual(one.see({ ...world, policies, endpointSlices: [] }, { missing }).endpoints, []);
  }
});

test('slices that are watched no more, or were seen to go, have gone', (t) => {
  const one = lastingNode();
  const endpointSlices = [slice('web', ['10.1.2.7'], [{ name: '', port: 80, protocol: 'TCP' }])];
  one.see({ ...world, endpointSlices });
  t.deepEqual(one.see({ ...world, endpointSlices: [] }, { missing: {} }).endpoints, []);
  t.notRegex(one.problems().join(), /EndpointSlices/);
});
