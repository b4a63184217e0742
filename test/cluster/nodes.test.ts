import test from 'ava';
import { createLocator } from '../../src/agent/model/locate.ts';
import { parseNodes } from '../../src/cluster/nodes.ts';
import { build, messages } from '../helpers/unit/model.ts';
import { node } from '../helpers/unit/objects.ts';

test('an address lies in a CIDR of its own family only', (t) => {
  const locate = createLocator([
    {
      name: 'a',
      addresses: ['192.0.2.1', '2001:db8::1'],
      podCidrs: ['10.1.1.0/24', '10.1.2.0/24', 'fd00:1::/64'],
    },
    { name: 'b', addresses: ['10.1.1.7'], podCidrs: ['10.1.1.128/25', '10.1.0.0/16', 'fd00::/16'] },
    { name: 'c', addresses: [], podCidrs: ['10.1.2.0/24', '::/0'] },
  ]);
  t.deepEqual(locate('10.1.2.254'), { node: 'a', host: false });
  t.deepEqual(locate('10.1.1.130'), { node: 'b', host: false }, 'the longest prefix');
  t.deepEqual(locate('10.1.3.0'), { node: 'b', host: false });
  t.deepEqual(locate('10.1.1.7'), { node: 'b', host: true }, "a node's own address comes first");
  t.deepEqual(locate('2001:db8::1'), { node: 'a', host: true });
  t.deepEqual(locate('fd00:1::ffff'), { node: 'a', host: false });
  t.deepEqual(locate('fd00:1:0:1::'), { node: 'b', host: false });
  t.deepEqual(locate('::2'), { node: 'c', host: false });
  t.is(locate('11.0.0.0'), undefined, 'no family takes for the other');
});

test('the first two addresses of a pod CIDR and the last of an IPv4 one are its edges', (t) => {
  const podCidrs = ['10.1.1.0/24', '10.2.0.0/30', 'fd00:1::/64'];
  const locate = createLocator([{ name: 'a', addresses: ['192.0.2.1'], podCidrs }]);
  const edges = ['10.1.1.0', '10.1.1.1', '10.1.1.255', 'fd00:1::', 'fd00:1::1'];
  const others = ['10.1.1.2', '10.1.1.254', '10.2.0.0', '10.2.0.1', '10.2.0.3', 'fd00:1::2'];
  t.true(edges.every((address) => locate(address)?.edge === true));
  t.true(others.every((address) => locate(address)?.node === 'a' && locate(address)?.edge === undefined));
  t.is(locate('fd00:1::ffff:ffff:ffff:ffff')?.edge, undefined);
});

const parsed = test.macro((t, overrides: Parameters<typeof node>[1], expected: object | string) => {
  const { nodes, problems } = parseNodes([node('b', overrides), node('c')]);
  t.true(
    nodes.some(({ name }) => name === 'c'),
    'the others go on',
  );
  if (typeof expected === 'string') {
    t.deepEqual(problems, [{ where: 'Node b', message: expected }]);
    t.is(nodes.length, 1);
  } else {
    t.deepEqual(problems, []);
    t.like(nodes[0], expected);
  }
});
const addressed = (...addresses: string[]) => ({
  status: {
    addresses: [
      { type: 'Hostname', address: 'b' },
      { type: 'ExternalIP', address: '203.0.113.9' },
      ...addresses.map((address) => ({ type: 'InternalIP', address })),
    ],
  },
});
const annotated = (name: string, value: string) => ({
  metadata: { name: 'b', annotations: { [`trapline.io/${name}`]: value } },
});
test('podCIDR alone', parsed, { spec: { podCIDR: '10.9.0.0/24' } }, { podCidrs: ['10.9.0.0/24'] });
test(
  'several pod CIDRs all count, once each',
  parsed,
  { spec: { podCIDRs: ['10.9.1.0/24', '10.9.0.0/24', '10.9.0.1/24'] } },
  {
    podCidrs: ['10.9.0.0/24', '10.9.1.0/24'],
  },
);
test('the first InternalIP of each family', parsed, addressed('FD00::2', '10.0.0.7', '10.0.0.8', 'fd00::3'), {
  addresses: ['10.0.0.7', 'fd00::2'],
});
test('annotated pod CIDRs', parsed, annotated('pod-cidrs', '10.8.1.0/26, 10.8.0.0/26'), {
  podCidrs: ['10.8.0.0/26', '10.8.1.0/26'],
});
test('annotated addresses', parsed, annotated('addresses', '192.0.2.1'), { addresses: ['192.0.2.1'] });
test('no pod CIDR yet', parsed, { spec: {} }, 'spec.podCIDRs: none yet');
test('no address yet', parsed, addressed(), 'status.addresses: no InternalIP yet');
test(
  'malformed pod CIDR',
  parsed,
  { spec: { podCIDRs: ['10.9.0.0/99'] } },
  'spec.podCIDRs: "10.9.0.0/99" is malformed',
);
test('malformed address', parsed, addressed('10.0.0'), 'status.addresses: "10.0.0" is malformed');
test(
  'malformed annotation',
  parsed,
  annotated('pod-cidrs', '10.8.1.0/26,'),
  'trapline.io/pod-cidrs: "" is malformed',
);
test(
  'malformed address annotation',
  parsed,
  annotated('addresses', 'b'),
  'trapline.io/addresses: "b" is malformed',
);

test('peers are the other nodes that can have a tunnel', (t) => {
  const model = build({ nodes: [node('c'), node('b', { spec: {} }), node('a')] });
  t.is(model.content.node.name, 'a');
  t.deepEqual(
    model.content.peers.map(({ name }) => name),
    ['c'],
  );
  t.deepEqual(messages(model), ['Node b: spec.podCIDRs: none yet']);
});

test('without its own node nothing can be decided', (t) => {
  t.throws(() => build({ nodes: [node('b')] }), { name: 'ModelError', message: 'Node a: not there' });
  t.throws(() => build({ nodes: [node('a', { spec: {} })] }), { message: 'Node a: spec.podCIDRs: none yet' });
});

const block = (of: string, cidr: string, more: object = {}) => ({
  kind: 'BlockAffinity' as const,
  metadata: { name: `${of}-${cidr.replace(/\W/g, '-')}` },
  spec: { node: of, cidr, state: 'confirmed', deleted: 'false', ...more },
});
const ciliumNode = (name: string, podCIDRs: string[]) => ({
  kind: 'CiliumNode' as const,
  metadata: { name },
  spec: { ipam: { podCIDRs } },
});

test("Calico's blocks tell the pod CIDRs, all of them, and not the node's own", (t) => {
  const blockAffinities = [
    block('a', '10.9.0.64/26'),
    block('a', '10.9.0.0/26'),
    block('a', 'fd00:9::/122'),
    block('a', '10.9.9.0/26', { state: 'pending' }),
    block('a', '10.9.8.0/26', { deleted: 'true' }),
  ];
  const { nodes, problems } = parseNodes([node('a'), node('b')], { blockAffinities });
  t.deepEqual(
    nodes.map(({ name, podCidrs }) => [name, podCidrs]),
    [['a', ['10.9.0.0/26', '10.9.0.64/26', 'fd00:9::/122']]],
  );
  t.deepEqual(problems, [{ where: 'Node b', message: 'BlockAffinity spec.cidr: none yet' }]);
});

test("Cilium's nodes tell the pod CIDRs where it keeps them", (t) => {
  const ciliumNodes = [ciliumNode('a', ['10.8.1.0/24']), ciliumNode('b', ['10.8.2.0/24'])];
  const { nodes } = parseNodes([node('a'), node('b')], { ciliumNodes });
  t.deepEqual(
    nodes.map(({ podCidrs }) => podCidrs[0]),
    ['10.8.1.0/24', '10.8.2.0/24'],
  );
  const none = parseNodes([node('a')], { ciliumNodes: [ciliumNode('a', [])] });
  t.deepEqual(none.nodes[0]?.podCidrs, ['10.1.1.0/24'], 'in other modes it keeps none');
});

test('an annotation overrides every other source of pod CIDRs', (t) => {
  const metadata = { name: 'a', annotations: { 'trapline.io/pod-cidrs': '10.7.0.0/24' } };
  const { nodes } = parseNodes([node('a', { metadata })], {
    blockAffinities: [block('a', '10.9.0.0/26')],
    ciliumNodes: [ciliumNode('a', ['10.8.1.0/24'])],
  });
  t.deepEqual(nodes[0]?.podCidrs, ['10.7.0.0/24']);
});

test('a block that is malformed is named', (t) => {
  const { problems } = parseNodes([node('a')], { blockAffinities: [block('a', '10.9.0.0')] });
  t.regex(problems[0]?.message ?? '', /BlockAffinity spec\.cidr: "10\.9\.0\.0" is malformed/);
});

test('a peer without an address family in common is said', (t) => {
  const six = node('b', { status: { addresses: [{ type: 'InternalIP', address: '2001:db8::2' }] } });
  t.deepEqual(messages(build({ nodes: [node('a'), six] })), [
    'Node b: no address family in common with a (2001:db8::2): no tunnel, and nothing of a protected port goes there or comes from there',
  ]);
});
