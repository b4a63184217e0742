import test from 'ava';
import fc from 'fast-check';
import { type NodeContext, parseNodes } from '../../src/cluster/nodes.ts';
import type { Node } from '../../src/cluster/objects.ts';
import { overlap } from '../../src/ip/cidr.ts';
import { build, messages } from '../helpers/unit/model.ts';
import { node, service } from '../helpers/unit/objects.ts';

/** Node a is the oldest, c the youngest. */
const born = (index: number): string => `2020-01-0${index}T00:00:00Z`;
const of = (name: string, podCIDRs: string[], ...addresses: string[]): Node =>
  node(name, {
    metadata: { name, creationTimestamp: born(name.charCodeAt(0) - 96) },
    spec: { podCIDRs },
    ...(addresses.length === 0
      ? {}
      : { status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) } }),
  });
const a = of('a', ['10.1.1.0/24', 'fd00:1::/64']);
const b = of('b', ['10.1.2.0/24', 'fd00:2::/64']);
const claiming = (...cidrs: string[]): Node => of('c', ['10.1.3.0/24', ...cidrs]);

const has = (parsed: ReturnType<typeof parseNodes>, name: string): string => {
  const verdict = [...parsed.nodes, ...(parsed.partial ?? [])].find((one) => one.name === name);
  return typeof verdict === 'object' ? [...verdict.addresses, ...verdict.podCidrs].join(' ') : 'out';
};

const refused = test.macro<[cidr: string, why: RegExp, context?: NodeContext]>({
  exec(t, cidr, why, context = {}) {
    for (const reader of ['a', 'b', 'c', undefined]) {
      const parsed = parseNodes([claiming(cidr), a, b], {
        ...context,
        ...(reader === undefined ? {} : { reader }),
      });
      // A node that is read by its own agent comes first there, as its pods have their addresses already.
      if (reader !== 'c' || !why.source.includes('of Node')) {
        t.is(has(parsed, 'c'), '10.0.0.3 10.1.3.0/24', reader ?? 'nobody');
        t.deepEqual(
          parsed.problems.map(({ where }) => where),
          ['Node c'],
        );
        t.regex(parsed.problems[0]?.message ?? '', why);
        t.true(parsed.problems[0]?.message.startsWith(`spec.podCIDRs: "${cidr}" is refused: `));
        t.is(has(parsed, 'a'), '10.0.0.1 10.1.1.0/24 fd00:1::/64');
        t.is(has(parsed, 'b'), '10.0.0.2 10.1.2.0/24 fd00:2::/64');
      }
    }
  },
  title: (title) => `refused, and the rest of the node stays: ${title}`,
});
test("another's CIDR", refused, '10.1.2.0/24', /10\.1\.2\.0\/24 of Node b/);
test('half of it', refused, '10.1.2.0/25', /10\.1\.2\.0\/24 of Node b/);
test('the other half', refused, '10.1.2.128/25', /10\.1\.2\.0\/24 of Node b/);
test('one address of it', refused, '10.1.2.77/32', /10\.1\.2\.0\/24 of Node b/);
test('twice of it', refused, '10.1.2.0/23', /10\.1\.2\.0\/24 of Node b/);
test('of two nodes', refused, '10.1.0.0/22', /10\.1\.[12]\.0\/24 of Node [ab]/);
test('all that the bound allows', refused, '10.1.0.0/16', /of Node [ab]/);
test("another's CIDR, IPv6", refused, 'fd00:2::/64', /fd00:2::\/64 of Node b/);
test('a part of it, IPv6', refused, 'fd00:2::/80', /fd00:2::\/64 of Node b/);
test("another's address", refused, '10.0.0.2/32', /10\.0\.0\.2 of Node b/);
test("a CIDR with another's address", refused, '10.0.0.0/31', /10\.0\.0\.[12] of Node [ab]/);
test('all', refused, '0.0.0.0/0', /at least \/16/);
test('all, IPv6', refused, '::/0', /at least \/48/);
test('one bit beyond the bound', refused, '10.2.0.0/15', /at least \/16/);
test('one bit beyond the bound, IPv6', refused, 'fd00:8::/47', /at least \/48/);
test('loopback', refused, '127.0.0.0/24', /loopback/);
test('loopback, IPv6', refused, '::1/128', /loopback/);
test('link-local', refused, '169.254.0.0/16', /link-local/);
test('link-local, IPv6', refused, 'fe80::/64', /link-local/);
test('multicast', refused, '239.1.0.0/16', /multicast/);
test('multicast, IPv6', refused, 'ff02::/64', /multicast/);
test('unspecified', refused, '0.0.0.0/16', /unspecified/);
test('unspecified, IPv6', refused, '::/48', /unspecified/);
test('what is no CIDR is left out alone where nothing was known before', (t) => {
  const { partial, problems } = parseNodes([a, claiming('::ffff:0:0/96')]);
  t.deepEqual(partial?.[0]?.podCidrs, ['10.1.3.0/24']);
  t.regex(problems[0]?.message ?? '', /::ffff:0:0\/96.* is malformed/);
});
test('a Service address', refused, '10.96.0.0/24', /Service address 10\.96\.0\.10 is in it/, {
  serviceAddresses: ['10.96.0.10', 'fd00:96::a'],
});
test('a Service address, IPv6', refused, 'fd00:96::/64', /Service address fd00:96::a/, {
  serviceAddresses: ['10.96.0.10', 'fd00:96::a'],
});

test('the bound itself, and what lies beside others, are taken', (t) => {
  const parsed = parseNodes([a, b, claiming('10.2.0.0/16', '10.1.4.0/24', 'fd00:8::/48', 'fd00:2:0:1::/64')]);
  t.deepEqual(parsed.problems, []);
});

test("a CIDR with the node's own address is refused", (t) => {
  const parsed = parseNodes([of('a', ['10.1.1.0/24', '10.0.0.0/24'])]);
  t.is(has(parsed, 'a'), '10.0.0.1 10.1.1.0/24');
  t.regex(parsed.problems[0]?.message ?? '', /own address 10\.0\.0\.1/);
});

test('an address in the pod CIDR of another node is refused, and takes nothing from it', (t) => {
  const parsed = parseNodes([a, b, of('c', ['10.1.3.0/24'], '10.1.2.9', '10.0.0.9')]);
  t.is(has(parsed, 'c'), '10.0.0.9 10.1.3.0/24', 'the next address of the family');
  t.is(has(parsed, 'b'), '10.0.0.2 10.1.2.0/24 fd00:2::/64');
  t.is(has(parseNodes([a, b, of('c', ['10.1.3.0/24'], '10.1.2.9')]), 'c'), 'out');
});

test('a new address takes no CIDR from a node that had it by an annotation', (t) => {
  const annotated = node('b', {
    metadata: {
      name: 'b',
      creationTimestamp: born(2),
      annotations: { 'trapline.io/pod-cidrs': '10.7.2.0/24' },
    },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.2' }] },
  });
  const c = of('c', ['10.1.3.0/24'], '10.7.2.1', '10.0.0.3');
  const known = [{ name: 'b', addresses: ['10.0.0.2'], podCidrs: ['10.7.2.0/24'] }];
  const parsed = parseNodes([annotated, c], { known });
  t.is(has(parsed, 'b'), '10.0.0.2 10.7.2.0/24');
  t.is(has(parsed, 'c'), '10.0.0.3 10.1.3.0/24');
});

test('an address of a Service is no address of a node', (t) => {
  const parsed = parseNodes([of('c', ['10.1.3.0/24'], '10.96.0.10', '10.0.0.9')], {
    serviceAddresses: ['10.96.0.10'],
  });
  t.is(has(parsed, 'c'), '10.0.0.9 10.1.3.0/24');
});

test('two Nodes with one InternalIP: the older one has it', (t) => {
  for (const nodes of [
    [a, b, of('c', ['10.1.3.0/24'], '10.0.0.2')],
    [of('c', ['10.1.3.0/24'], '10.0.0.2'), b, a],
  ]) {
    const parsed = parseNodes(nodes);
    t.is(has(parsed, 'b'), '10.0.0.2 10.1.2.0/24 fd00:2::/64');
    t.is(
      parsed.problems[0]?.message,
      'status.addresses: "10.0.0.2" is refused: 10.0.0.2 of Node b, which comes first, is in its way',
    );
    t.deepEqual(
      parsed.problems.map(({ where }) => where),
      ['Node c'],
    );
  }
});

const known = (name: string, podCidrs: string[]) => ({
  name,
  addresses: [`10.0.0.${name.charCodeAt(0) - 96}`],
  podCidrs,
});

test('who had a CIDR keeps it, be it the younger one, whole or in parts', (t) => {
  for (const theirs of [['10.1.2.0/24'], ['10.1.2.0/25', '10.1.2.128/25']]) {
    const older = of('a', ['10.1.1.0/24', '10.1.2.0/24']);
    const younger = of('b', theirs);
    const before = [known('a', ['10.1.1.0/24']), known('b', ['10.1.2.0/24'])];
    for (const reader of ['a', 'b', 'c']) {
      const parsed = parseNodes([older, younger], { reader, known: before });
      t.is(has(parsed, 'b'), ['10.0.0.2', ...theirs].join(' '));
      t.is(has(parsed, 'a'), '10.0.0.1 10.1.1.0/24');
    }
    t.is(has(parseNodes([older, younger]), 'b'), 'out', 'nobody remembers: the older one');
  }
});

test('of two that nobody remembers the older Node has it, whatever its name', (t) => {
  const at = (name: string, creationTimestamp: string | undefined): Node => ({
    ...of(name, ['10.1.5.0/24']),
    metadata: creationTimestamp === undefined ? { name } : { name, creationTimestamp },
  });
  const winner = (...nodes: Node[]): string[] => parseNodes(nodes).nodes.map(({ name }) => name);
  t.deepEqual(winner(at('a', born(2)), at('b', born(1))), ['b']);
  t.deepEqual(winner(at('a', undefined), at('b', born(1))), ['b']);
  t.deepEqual(winner(at('b', born(1)), at('a', born(1))), ['a']);
});

test('a wide CIDR is refused for what others have in it, beside what the node has in it itself', (t) => {
  const older = {
    ...of('c', ['10.1.3.0/24']),
    metadata: { name: 'c', creationTimestamp: '2019-01-01T00:00:00Z' },
  };
  const parsed = parseNodes([older, of('b', ['10.1.2.0/24', '10.1.0.0/16'])], {
    known: [known('b', ['10.1.2.0/24'])],
  });
  t.is(has(parsed, 'b'), '10.0.0.2 10.1.2.0/24');
});

test('what nobody has any more is free', (t) => {
  const before = [known('a', ['10.1.1.0/24']), known('b', ['10.1.2.0/24'])];
  const parsed = parseNodes([of('a', ['10.1.2.0/24']), of('b', ['10.1.1.0/24'])], { known: before });
  t.deepEqual(parsed.problems, []);
});

test("a Service's address takes no CIDR from a node that has it", (t) => {
  const serviceAddresses = ['10.1.2.9'];
  t.is(has(parseNodes([b], { serviceAddresses }), 'b'), '10.0.0.2 fd00:2::/64');
  const parsed = parseNodes([b], { serviceAddresses, known: [known('b', ['10.1.2.0/24'])] });
  t.deepEqual(parsed.problems, []);
});

test('the node that reads comes before older ones, but not before one that had it', (t) => {
  const thief = of('a', ['10.1.2.0/24']);
  t.is(has(parseNodes([thief, b], { reader: 'b' }), 'a'), 'out');
  const parsed = parseNodes([of('a', ['10.1.1.0/24']), of('c', ['10.1.3.0/24', '10.1.1.0/24'])], {
    reader: 'c',
    known: [known('a', ['10.1.1.0/24']), known('c', ['10.1.3.0/24'])],
  });
  t.is(has(parsed, 'c'), '10.0.0.3 10.1.3.0/24');
});

test('two nodes with one spec.podCIDR, block or CiliumNode', (t) => {
  const twins = ['a', 'b'].map((name) => node(name, { spec: { podCIDR: '10.1.1.0/24' } }));
  const plain = parseNodes(twins);
  t.deepEqual([has(plain, 'a'), has(plain, 'b')], ['10.0.0.1 10.1.1.0/24', 'out']);
  const blockAffinities = ['a', 'b'].map((name) => ({
    kind: 'BlockAffinity' as const,
    metadata: { name },
    spec: { node: name, cidr: name === 'a' ? '10.9.0.0/24' : '10.9.0.64/26' },
  }));
  const calico = parseNodes(twins, { blockAffinities });
  t.deepEqual([has(calico, 'a'), has(calico, 'b')], ['10.0.0.1 10.9.0.0/24', 'out']);
  t.regex(calico.problems[0]?.message ?? '', /^BlockAffinity spec\.cidr: "10\.9\.0\.64\/26" is refused/);
  const ciliumNodes = ['a', 'b'].map((name) => ({
    kind: 'CiliumNode' as const,
    metadata: { name },
    spec: { ipam: { podCIDRs: ['10.8.0.0/24'] } },
  }));
  const cilium = parseNodes(twins, { ciliumNodes });
  t.deepEqual([has(cilium, 'a'), has(cilium, 'b')], ['10.0.0.1 10.8.0.0/24', 'out']);
  t.regex(
    cilium.problems[0]?.message ?? '',
    /^CiliumNode spec\.ipam\.podCIDRs: "10\.8\.0\.0\/24" is refused/,
  );
});

test('many refused CIDRs are one problem, and a node has no more than the bound', (t) => {
  const many = Array.from({ length: 300 }, (_, index) => `10.50.${index >> 4}.${(index & 15) << 4}/28`);
  const parsed = parseNodes([of('a', many), claiming(...many.slice(0, 10))]);
  const [first, second] = parsed.problems;
  t.is(parsed.nodes[0]?.podCidrs.length, 256);
  t.is(first?.message, 'spec.podCIDRs: more than 256: the last 44 are left out');
  t.regex(second?.message ?? '', /; and 7 more$/);
  t.is(parsed.problems.length, 2);
});

test('what a Node had stays its own, where what it says now is nothing usable', (t) => {
  const previous = build({ nodes: [a, b, claiming()] }, { nodeName: 'a' }).content;
  for (const broken of [
    of('b', ['10.1.2.0/99']),
    of('b', ['10.1.1.0/24']),
    of('b', ['10.1.2.0/24'], '127.0.0.1'),
  ]) {
    const model = build({ nodes: [a, broken, claiming('10.1.2.0/24')] }, { nodeName: 'a', previous });
    const cidrs = Object.fromEntries(
      model.content.peers.map(({ name, podCidrs }) => [name, podCidrs.join(' ')]),
    );
    t.deepEqual(cidrs, { b: '10.1.2.0/24 fd00:2::/64', c: '10.1.3.0/24' });
    t.true(model.problems.some(({ where }) => where === 'Node b'));
    t.true(model.problems.some(({ where }) => where === 'Node c'));
  }
});

test('the model remembers who had what, and sees the addresses of Services', (t) => {
  const nodes = [a, b, of('c', ['10.1.3.0/24'])];
  const { content } = build({ nodes });
  const thief = of('a', ['10.1.1.0/24', '10.1.2.0/24', '10.96.0.0/24', 'fd00:1::/64']);
  const services = [service('web', [{ port: 1 }], { clusterIP: '10.96.0.1' })];
  for (const nodeName of ['a', 'c']) {
    const previous = build({ nodes }, { nodeName }).content;
    const model = build({ nodes: [thief, b, claiming()], services }, { nodeName, previous });
    const all = [model.content.node, ...model.content.peers].map(({ name, podCidrs }) => [name, podCidrs]);
    t.deepEqual(new Map(all as [string, string[]][]).get('a'), content.node.podCidrs);
    t.regex(messages(model)[0] ?? '', /^Node a: .*10\.1\.2\.0\/24.*Node b.*Service address 10\.96\.0\.1/);
  }
});

const cidr = fc
  .tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 24, max: 32 }))
  .map(([third, bits]) => `10.1.${third}.0/${bits}`);

test('no two nodes ever overlap, in whatever order they come, and all readers without a memory agree', (t) => {
  fc.assert(
    fc.property(fc.array(fc.array(cidr, { maxLength: 4 }), { minLength: 2, maxLength: 6 }), (all) => {
      const nodes = all.map((cidrs, index) => of(String.fromCharCode(97 + index), ['10.7.0.0/16', ...cidrs]));
      const parsed = parseNodes(nodes);
      const claims = parsed.nodes.flatMap(({ name, addresses, podCidrs }) =>
        [...podCidrs, ...addresses.map((address) => `${address}/32`)].map((one) => ({ name, one })),
      );
      const apart = claims.every((x) => claims.every((y) => x.name === y.name || !overlap(x.one, y.one)));
      return apart && JSON.stringify(parsed) === JSON.stringify(parseNodes(nodes.toReversed()));
    }),
  );
  t.pass();
});

test('a thousand nodes with many claims are settled in little time', (t) => {
  const nodes = Array.from({ length: 1_000 }, (_, index) =>
    node(`n${index}`, {
      spec: {
        podCIDRs: Array.from(
          { length: 8 },
          (_each, one) => `10.${index % 250}.${(index >> 8) * 8 + one}.0/24`,
        ),
      },
      status: { addresses: [{ type: 'InternalIP', address: `172.16.${index >> 8}.${index & 255}` }] },
    }),
  );
  parseNodes(nodes);
  const started = performance.now();
  parseNodes(nodes);
  const took = performance.now() - started;
  t.log(`${Math.round(took)} ms`);
  t.true(took < 5_000);
});
