import test, { type ExecutionContext } from 'ava';
import { BOUNDS } from '../../../src/cluster/bounds.ts';
import { renderConnection } from '../../../src/ipsec/charon/render.ts';
import { CONNECTION_BYTES, TRAFFIC_SELECTORS } from '../../../src/ipsec/plan/bounds.ts';
import { configNames } from '../../../src/ipsec/plan/child.ts';
import { planConnections } from '../../../src/ipsec/plan/connections.ts';
import type { ChildConfig } from '../../../src/ipsec/plan/types.ts';
import { encodeMessage } from '../../../src/ipsec/vici/encode.ts';
import { MAX_PACKET_BYTES } from '../../../src/ipsec/vici/frame.ts';
import type { CacheChild, NodeCache } from '../../../src/rundir/schema.ts';
import { seedCache } from '../../helpers/unit/cache.ts';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

interface Sizes {
  readonly children: readonly CacheChild[];
  /** Pod CIDRs of each of the two nodes. */
  readonly cidrs?: readonly [number, number];
  readonly names?: readonly [string, string];
}

/** The caches of two nodes, each the other's peer. */
function pairOf({ children, cidrs = [1, 1], names = ['a', 'b'] }: Sizes): [NodeCache, NodeCache] {
  const configs = children.flatMap(({ name }) => configNames(name));
  const nodes = names.map((name, at) => ({
    name,
    addresses: [`192.0.2.${at + 1}`],
    podCidrs: numbers(cidrs[at] ?? 1).flatMap((index) => [
      `10.${at + 1}.${index}.0/24`,
      `fd00:${at + 1}:0:${index.toString(16)}::/64`,
    ]),
  }));
  return [0, 1].map((at) =>
    seedCache({
      node: nodes[at] as NodeCache['node'],
      peers: [
        {
          ...(nodes[1 - at] as NodeCache['node']),
          reqids: Object.fromEntries(configs.map((config, index) => [config, 10_000_000 + index])),
        },
      ],
      children: [...children],
      endpoints: [],
    }),
  ) as [NodeCache, NodeCache];
}

const web = (count: number): CacheChild => ({ name: 'tcp_web', proto: 'tcp', ports: numbers(count) });
const childrenOf = (cache: NodeCache): readonly ChildConfig[] => planConnections(cache)[0]?.children ?? [];
const counts = (cache: NodeCache): number[] =>
  childrenOf(cache).flatMap(({ localTs, remoteTs }) => [localTs.length, remoteTs.length]);

/** Both ends of each child have the same selectors, each as its own. */
function mirrored(t: ExecutionContext, [a, b]: readonly [NodeCache, NodeCache]): void {
  const other = new Map(childrenOf(b).map((child) => [child.name, child]));
  for (const { name, localTs, remoteTs } of childrenOf(a)) {
    const swapped = name.endsWith('_egress')
      ? name.replace('_egress', '_ingress')
      : name.replace('_ingress', '_egress');
    t.like(other.get(swapped), { localTs: remoteTs, remoteTs: localTs });
  }
}

test('a child of a few ports names each', (t) => {
  const caches = pairOf({ children: [web(64)] });
  t.deepEqual(counts(caches[0]), [2, 128, 128, 2]);
  mirrored(t, caches);
});

test('a child of more ports than fit names none, both ends alike', (t) => {
  const caches = pairOf({ children: [web(65)] });
  t.deepEqual(childrenOf(caches[0])[0]?.remoteTs, ['10.2.1.0/24[tcp]', 'fd00:2:0:1::/64[tcp]']);
  mirrored(t, caches);
});

test('a node of more CIDRs than fit is named by its families; the other one as ever', (t) => {
  const caches = pairOf({ children: [web(1), { name: 'pods', proto: 'any', ports: [] }], cidrs: [65, 1] });
  const [egress, , pods] = childrenOf(caches[0]);
  t.deepEqual(egress?.localTs, ['0.0.0.0/0[tcp]', '::/0[tcp]']);
  t.deepEqual(egress?.remoteTs, ['10.2.1.0/24[tcp/1]', 'fd00:2:0:1::/64[tcp/1]']);
  t.deepEqual(pods?.localTs, ['0.0.0.0/0', '::/0']);
  mirrored(t, caches);
});

test('whatever the sizes, no side has more selectors than fit', (t) => {
  for (const ports of [1, 10, 128, 129, 60_000]) {
    for (const cidrs of [1, 12, 64, 65, 200]) {
      const caches = pairOf({ children: [web(ports)], cidrs: [cidrs, 3] });
      t.true(Math.max(...counts(caches[0])) <= TRAFFIC_SELECTORS);
      mirrored(t, caches);
    }
  }
});

const sizeOf = (cache: NodeCache): number => {
  const [config] = planConnections(cache);
  const rendered = config === undefined ? {} : renderConnection(config, { profile: 'modern' });
  return encodeMessage({ [config?.name ?? '']: rendered }).length;
};

test('as many children as there may be, with the longest names, fit into a packet of VICI', (t) => {
  const long = 'x'.repeat(BOUNDS.entryName - 3);
  const children = numbers(BOUNDS.children).map(
    (index): CacheChild => ({
      name: `sctp_${String(index).padStart(3, '0')}${long}`,
      proto: 'sctp',
      ports: numbers(128),
    }),
  );
  const names = ['n', 'm'].map((letter) => letter.repeat(246)) as [string, string];
  const caches = pairOf({ children, names, cidrs: [128, 128] });
  const certificate = 16 * 1024;
  t.true(sizeOf(caches[0]) + certificate < MAX_PACKET_BYTES, `${sizeOf(caches[0])} bytes`);
  mirrored(t, caches);
});

test('where the selectors of all children together are too much, none names ports, or CIDRs', (t) => {
  const children = numbers(100).map((index) => ({ ...web(60), name: `tcp_web-${index}` }));
  const few = pairOf({ children: children.slice(0, 10) });
  t.true(counts(few[0]).includes(120), 'they fit');
  const many = pairOf({ children });
  t.deepEqual(new Set(counts(many[0])), new Set([2]));
  t.true(childrenOf(many[0])[0]?.remoteTs[0]?.startsWith('10.2.1.0/24[tcp]'));
  const wide = pairOf({ children, cidrs: [60, 60] });
  t.deepEqual(childrenOf(wide[0])[0]?.remoteTs, ['0.0.0.0/0[tcp]', '::/0[tcp]']);
  for (const caches of [few, many, wide]) {
    mirrored(t, caches);
    t.true(sizeOf(caches[0]) < CONNECTION_BYTES);
  }
});
