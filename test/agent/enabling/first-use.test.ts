import test from 'ava';
import { childrenInUse } from '../../../src/agent/enabling/first-use.ts';
import { parsePolicies } from '../../../src/ipsec/xfrm/parse/policy.ts';
import { seedCache } from '../../helpers/unit/cache.ts';

/** As `ip -s xfrm policy` prints a policy of ours. */
function printed(
  reqid: number,
  level: 'use' | 'required',
  use: string,
  selector = 'src 172.16.43.0/26 dst 172.16.166.178/32 proto udp dport 53',
): string {
  return `${selector} uid 0
\tdir fwd action allow index 10 priority 1100 share any flag  (0x00000000)
\tlifetime config:
\t  limit: soft (INF)(bytes), hard (INF)(bytes)
\tlifetime current:
\t  0(bytes), 0(packets)
\t  add 2026-11-21 04:00:00 use ${use}
\ttmpl src 192.168.206.66 dst 192.168.206.3
\t\tproto esp spi 0x00000000(0) reqid ${reqid}(0x00000000) mode tunnel
\t\tlevel ${level} share any${' '}
`;
}

const LIVE = '2026-11-21 04:00:01';
const accepting = { proto: 'udp', port: 53, child: 'udp_kube-dns', phase: 'accept' } as const;
const served = { address: '172.16.166.178', host: false, ports: [accepting] };
const inUse = (text: string, cache = seedCache({ localEndpoints: [served] })): unknown =>
  childrenInUse(cache, parsePolicies(text));

test('a child is in use when plaintext has come in by a policy whose answers go through it', (t) => {
  const ingress = [{ connection: 'k8s-node-worker-0', child: 'udp_kube-dns_ingress' }];
  t.deepEqual(inUse(printed(0, 'use', LIVE)), ingress);
  t.deepEqual(inUse(printed(10_000_103, 'use', LIVE)), ingress, 'as an agent of before laid it');
  t.deepEqual(inUse(printed(0, 'use', '-')), [], 'nothing has come in');
  t.deepEqual(inUse(printed(0, 'required', LIVE)), [], 'it is required: charon knows by itself');
  t.deepEqual(
    inUse(printed(0, 'use', LIVE, 'src 172.16.43.0/26 dst 172.16.166.178/32 proto udp dport 54')),
    [],
    'the plan has no answer to it',
  );
});

test('a client is answered: the child is the one through which it will ask', (t) => {
  const cache = seedCache({
    endpoints: [{ address: '172.16.192.115', node: 'controller-0', ports: [accepting] }],
  });
  const answers = 'src 172.16.192.115/32 dst 172.16.166.128/26 proto udp sport 53';
  t.deepEqual(inUse(printed(0, 'use', LIVE, answers), cache), [
    { connection: 'k8s-node-controller-0', child: 'udp_kube-dns_egress' },
  ]);
});

test('the mesh is being accepted: all that comes from a peer is answered through one child', (t) => {
  const { peers } = seedCache();
  const cache = seedCache({
    mesh: true,
    meshPhase: 'accept',
    entries: [],
    endpoints: [],
    children: [{ name: 'pods', proto: 'any', ports: [] }],
    peers: peers.map((peer, index) => ({ ...peer, reqids: { pods: 10_000_000 + index } })),
  });
  t.deepEqual(inUse(printed(0, 'use', LIVE, 'src 172.16.43.0/26 dst 172.16.166.128/26'), cache), [
    { connection: 'k8s-node-worker-0', child: 'pods' },
  ]);
});

test('ICMP has come in from pods that serve nothing: the child is the one through which it is answered', (t) => {
  const entries = seedCache().entries.map((entry) => ({
    ...entry,
    ports: [{ proto: 'udp', target: 53, phase: 'accept' } as const],
  }));
  const cache = seedCache({ entries, unlisted: [accepting] });
  const inUseBy = (selector: string, use = LIVE): unknown =>
    childrenInUse(cache, parsePolicies(printed(0, 'use', use, selector)));
  const pods = 'src 172.16.43.0/26 dst 172.16.166.128/26 proto icmp';
  t.deepEqual(inUseBy(pods), [{ connection: 'k8s-node-worker-0', child: 'udp_kube-dns_ingress' }]);
  t.deepEqual(inUseBy(pods, '-'), [], 'nothing has come in');
  t.deepEqual(
    inUseBy('src 172.16.99.0/26 dst 172.16.166.128/26 proto icmp'),
    [],
    'the plan has no answer to it',
  );
});

test('ICMP has come in from an address that is served elsewhere, or to one that is served here', (t) => {
  const address = '172.16.192.115';
  const cache = seedCache({
    endpoints: [{ address, node: 'controller-0', ports: [accepting] }],
    localEndpoints: [{ address: '172.16.166.178', host: false, ports: [accepting] }],
  });
  const inUseBy = (selector: string): unknown =>
    childrenInUse(cache, parsePolicies(printed(0, 'use', LIVE, selector)));
  t.deepEqual(inUseBy(`src ${address}/32 dst 172.16.166.128/26 proto icmp`), [
    { connection: 'k8s-node-controller-0', child: 'udp_kube-dns_egress' },
  ]);
  t.deepEqual(inUseBy('src 172.16.43.0/26 dst 172.16.166.178/32 proto icmp'), [
    { connection: 'k8s-node-worker-0', child: 'udp_kube-dns_ingress' },
  ]);
});
