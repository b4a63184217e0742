import test from 'ava';
import { planHairpin } from '../../../src/ipsec/hairpin/plan.ts';
import { renderTable, tableSets } from '../../../src/ipsec/hairpin/render.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { seedCache } from '../../helpers/unit/cache.ts';

const child = 'udp_kube-dns';
const OWN = { 4: seedCache().node.podCidrs, 6: [] };
const CIDRS = { 4: ['172.16.166.128/26', '172.16.192.64/26'], 6: [] };

function cache(ports: NodeCache['endpoints'][number]['ports'], more: Partial<NodeCache> = {}): NodeCache {
  const peers = seedCache()
    .peers.slice(0, 2)
    .map((peer, index) => ({ ...peer, podCidrs: [CIDRS[4][index] ?? ''] }));
  return { ...seedCache(), peers, endpoints: [{ address: '172.16.166.178', node: 'b', ports }], ...more };
}

const planned = test.macro<[NodeCache, ReturnType<typeof planHairpin>]>({
  exec: (t, given, expected) => t.deepEqual(planHairpin(given), expected),
  title: (title) => `hairpin: ${title}`,
});

test(
  'ports next to each other are one range, repeated ones count once',
  planned,
  cache([
    { proto: 'udp', port: 54, child },
    { proto: 'udp', port: 53, child },
    { proto: 'udp', port: 53, child },
    { proto: 'tcp', port: 9153, child },
  ]),
  {
    ports: [
      { proto: 'tcp', first: 9153, last: 9153 },
      { proto: 'udp', first: 53, last: 54 },
    ],
    podCidrs: CIDRS,
    ownCidrs: OWN,
    refused: [],
  },
);
test(
  'all ports of a protocol leave no other range of it',
  planned,
  cache([
    { proto: 'tcp', port: 0, child },
    { proto: 'tcp', port: 80, child },
  ]),
  { ports: [{ proto: 'tcp', first: 0, last: 65535 }], podCidrs: CIDRS, ownCidrs: OWN, refused: [] },
);
const every = (['tcp', 'udp', 'sctp'] as const).map((proto) => ({ proto, first: 0, last: 65535 }));
test('all ports of every protocol', planned, cache([{ proto: 'any', port: 0, child }]), {
  ports: every,
  podCidrs: CIDRS,
  ownCidrs: OWN,
  refused: [],
});
test('mesh without endpoints', planned, cache([], { mesh: true }), {
  ports: every,
  podCidrs: CIDRS,
  ownCidrs: OWN,
  refused: [],
});
test(
  'ports of endpoints that no slice lists yet',
  planned,
  cache([], { unlisted: [{ proto: 'udp', port: 53, child }] }),
  {
    ports: [{ proto: 'udp', first: 53, last: 53 }],
    podCidrs: CIDRS,
    ownCidrs: OWN,
    refused: [],
  },
);
test('a node that serves alone reassembles fragments and keeps addresses', planned, cache([]), {
  ports: [],
  podCidrs: CIDRS,
  ownCidrs: OWN,
  refused: [],
});
test('nothing protected', planned, cache([], { children: [] }), null);
test('no peers', planned, cache([{ proto: 'udp', port: 53, child }], { peers: [] }), null);

const [peer] = seedCache().peers;
const dns: NodeCache['endpoints'][number]['ports'] = [{ proto: 'udp', port: 53, child }];
const peerWith = (...podCidrs: string[]): NodeCache['peers'] =>
  peer === undefined ? [] : [{ ...peer, podCidrs }];

test('departed peers and the former CIDRs of this node are among the CIDRs', (t) => {
  const { node } = seedCache();
  const departed = peerWith('172.16.9.0/24').map((one) => ({ ...one, name: 'gone', until: 5 }));
  const formerCidrs = [{ cidr: '172.16.8.0/24', until: 5 }];
  const hairpin = planHairpin(cache(dns, { departed, node: { ...node, formerCidrs } }));
  t.deepEqual(hairpin?.podCidrs[4], ['172.16.9.0/24', ...CIDRS[4]]);
  t.deepEqual(hairpin?.ownCidrs[4], ['172.16.8.0/24', ...OWN[4]]);
  const last = planHairpin(cache(dns, { departed, peers: [] }));
  t.deepEqual(last?.podCidrs[4], ['172.16.9.0/24'], 'the last peer has left');
});

test('a CIDR that is none is left out and said, and takes nothing with it', (t) => {
  const hairpin = planHairpin(cache(dns, { peers: peerWith('10.2.0.0/24', '10.0.0.0/33', 'x', '') }));
  t.deepEqual(hairpin?.podCidrs[4], ['10.2.0.0/24']);
  t.deepEqual(hairpin?.refused, ['10.0.0.0/33', 'x', '']);
});

const table = (podCidrs: string[], ownCidrs: string[]): string =>
  renderTable(
    tableSets(
      planHairpin(
        cache(dns, { peers: peerWith(...podCidrs), node: { ...seedCache().node, podCidrs: ownCidrs } }),
      ) ?? { ports: [], podCidrs: { 4: [], 6: [] }, ownCidrs: { 4: [], 6: [] }, refused: [] },
    ),
  );

test('families are told apart, and one that nobody uses has no set and no rule', (t) => {
  const four = table(['10.2.0.0/24'], ['10.1.0.0/24', 'fd00:1::/64']);
  t.regex(four, /elements = \{ udp \. 53 \}/);
  t.notRegex(four, /ip6|pods6|own6/);
  const both = table(['10.2.0.0/24', 'fd00:2::/64'], ['fd00:1::/64']);
  t.regex(both, /ip6 daddr @pods6/);
  t.regex(both, /set own6 \{ type ipv6_addr; flags interval; elements = \{ fd00:1::\/64 \}/);
  t.regex(both, /ip6 saddr @own6 ip6 daddr @pods6 rt ipsec exists snat/);
  t.notRegex(both, /@own4/);
});
