import test from 'ava';
import { DEPARTED_MS } from '../../../../src/agent/model/departed.ts';
import type { Node } from '../../../../src/cluster/objects.ts';
import { lastingNode } from '../../../helpers/unit/lasting-node.ts';
import { build } from '../../../helpers/unit/model.ts';
import { item, node, pod, policy, service, slice } from '../../../helpers/unit/objects.ts';

const world = {
  services: [service('web', [{ port: 80 }])],
  endpointSlices: [slice('web', ['10.1.1.5', '10.1.2.7'], [{ port: 80, protocol: 'TCP' }])],
  pods: [pod('web', 'a')],
  policies: [policy('p', item('web', 'tcp/80'))],
};
const POD = { web: '10.1.1.5' };
const annotated = (name: string, annotations: Record<string, string>): Node =>
  node(name, { metadata: { name, annotations } });

const BROKEN: Readonly<Record<string, (name: string) => Partial<Node>>> = {
  'no InternalIP': () => ({ status: { addresses: [] } }),
  'no status': () => ({ status: undefined }),
  'no pod CIDR': () => ({ spec: {} }),
  'a malformed pod CIDR': () => ({ spec: { podCIDRs: ['10.1.2.0/99'] } }),
  'a typo in pod-cidrs': (name) => annotated(name, { 'trapline.io/pod-cidrs': '10.1.2.0/2x' }),
  'a typo in addresses': (name) => annotated(name, { 'trapline.io/addresses': '10.0.0.300' }),
};

for (const [what, broken] of Object.entries(BROKEN)) {
  test(`a node that was good keeps its last good form: ${what}`, (t) => {
    for (const name of ['a', 'b']) {
      const one = lastingNode(POD);
      const before = one.see(world);
      const nodes = ['a', 'b', 'c'].map((each) => node(each, each === name ? broken(each) : {}));
      for (let agent = 0; agent < 3; agent += 1) {
        const after = one.see({ ...world, nodes });
        t.deepEqual([after.node, after.peers, after.departed], [before.node, before.peers, undefined]);
        t.regex(one.problems().join(), new RegExp(`^Node ${name}: .*what it said before stays in force`));
        one.wait(2 * DEPARTED_MS);
        one.restart();
      }
      const gone = one.see({ ...world, nodes: nodes.filter(({ metadata }) => metadata.name !== 'c') });
      t.is(gone.departed?.[0]?.name, 'c');
    }
  });
}

test('so does one that the source cannot read at all', (t) => {
  const one = lastingNode(POD);
  const before = one.see(world);
  one.restart();
  const after = one.see({ ...world, nodes: [node('a'), node('c')] }, { unread: { nodes: new Set(['b']) } });
  t.deepEqual(after.peers, before.peers);
  t.true(one.problems().includes('Node b: cannot be read: what it said before stays in force'));
});

test('another node does not get its CIDRs meanwhile', (t) => {
  const one = lastingNode(POD);
  one.see(world);
  const broken = node('b', { status: { addresses: [] } });
  const thief = node('d', { spec: { podCIDRs: ['10.1.2.0/25', '10.1.4.0/24'] } });
  const { peers } = one.see({ ...world, nodes: [node('a'), broken, node('c'), thief] });
  t.deepEqual(peers.find(({ name }) => name === 'b')?.podCidrs, ['10.1.2.0/24']);
  t.deepEqual(peers.find(({ name }) => name === 'd')?.podCidrs, ['10.1.4.0/24']);
  t.regex(one.problems().join(), /Node d: spec.podCIDRs: "10.1.2.0\/25" is refused/);
});

const FRESH: Readonly<Record<string, Partial<Node>>> = {
  'no address': { status: { addresses: [] } },
  'a malformed address': { status: { addresses: [{ type: 'InternalIP', address: '10.0.0.300' }] } },
  'no common family': { status: { addresses: [{ type: 'InternalIP', address: 'fd00::2' }] } },
};
for (const [what, broken] of Object.entries(FRESH)) {
  test(`a node that nobody knew, with ${what}: nothing of a protected port in the clear, either way`, (t) => {
    const one = lastingNode(POD);
    const nodes = [node('a'), node('b', broken), node('c')];
    const { peers, endpoints } = one.see({ ...world, nodes });
    t.is(
      peers.some(({ name }) => name === 'b'),
      what === 'no common family',
    );
    t.is(endpoints[0]?.address, '10.1.2.7');
    t.true(one.requires('10.1.1.5', 80));
    t.true(one.sends('10.1.2.7', 80));
    t.true(one.sends('10.1.2.99', 80), 'unlisted');
    t.false(one.sends('10.1.2.7', 81));
    t.regex(one.problems().join(), /Node b: .*nothing of a protected port goes there or comes from there/);
    const known = one.see({ ...world, nodes: [node('a'), node('b'), node('c')] });
    t.deepEqual(
      known.peers.map(({ name }) => name),
      ['b', 'c'],
    );
    t.is(known.unreachable, undefined);
  });
}

test('a node that nobody could reach, and that says nothing now, is still not reached', (t) => {
  const one = lastingNode(POD);
  const first = one.see({ ...world, nodes: [node('a'), node('b', { status: {} }), node('c')] });
  one.restart();
  const { unreachable } = one.see({
    ...world,
    nodes: [node('a'), node('b', { status: {}, spec: {} }), node('c')],
  });
  t.deepEqual(unreachable, first.unreachable);
  t.true(one.sends('10.1.2.7', 80));
});

test('a Node of which nothing is left keeps what it had', (t) => {
  const at = (name: string, ...podCIDRs: string[]) => node(name, { spec: { podCIDRs } });
  const nodes = [at('a', '10.1.1.0/24'), at('b', '10.1.2.0/24'), at('c', '10.1.3.0/24')];
  const previous = build({ nodes }, { nodeName: 'b' }).content;
  const model = build(
    { nodes: [at('a', '10.1.1.0/24;10.1.9.0/24'), at('b', '10.1.2.0/24'), at('c', '10.1.1.0/24')] },
    { nodeName: 'b', previous },
  );
  const cidrs = Object.fromEntries(model.content.peers.map(({ name, podCidrs }) => [name, podCidrs.join()]));
  t.deepEqual(cidrs, { a: '10.1.1.0/24', c: '10.1.3.0/24' });
});
