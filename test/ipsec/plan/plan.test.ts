import test from 'ava';
import { REQID_STRANGER } from '../../../src/ipsec/plan/ours.ts';
import { PlanError, planAttachment, planPolicies } from '../../../src/ipsec/plan/plan.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { corednsAttachment, seedCache } from '../../helpers/unit/cache.ts';
import { sorted } from '../../helpers/unit/fake-kernel.ts';

test('ADD lays exactly what the whole plan holds for the address', (t) => {
  const address = '172.16.166.178/32';
  const whole = planPolicies(seedCache(), [corednsAttachment]).filter(
    ({ selector }) => selector.src === address || selector.dst === address,
  );
  const added = planAttachment(seedCache(), corednsAttachment);
  t.deepEqual(sorted(added), sorted(whole));
  t.true(added.length > 0);
});

test('a pod that backs nothing needs no policy', (t) => {
  t.deepEqual(
    planAttachment(seedCache(), {
      pod: { namespace: 'default', name: 'client', uid: '' },
      addresses: ['172.16.166.130'],
    }),
    [],
  );
});

test('equal names in two namespaces are two services', (t) => {
  const cache = seedCache();
  const pods = cache.pods.map((pod) => ({ ...pod, namespace: 'other' }));
  t.deepEqual(
    planAttachment(
      { ...cache, pods },
      { ...corednsAttachment, pod: { namespace: 'other', name: 'coredns-1', uid: '' } },
    ),
    [],
  );
});

test('a service without a selector selects no pod', (t) => {
  const cache = seedCache();
  for (const selector of [null, {}]) {
    t.deepEqual(
      planAttachment(
        { ...cache, entries: cache.entries.map((entry) => ({ ...entry, selector })) },
        corednsAttachment,
      ),
      [],
    );
  }
});

test('a named port that the pod does not have is not protected on it', (t) => {
  const cache = seedCache();
  const pods = cache.pods.map((pod) => ({ ...pod, ports: [] }));
  const ports = planAttachment({ ...cache, pods }, corednsAttachment).map(
    ({ selector }) => selector.sport || selector.dport,
  );
  t.false(ports.includes(9153));
  t.true(ports.includes(53));
});

test('of two container ports with one name the first counts, as for Kubernetes', (t) => {
  const cache = seedCache();
  const second = { name: 'metrics', proto: 'tcp', port: 9154 } as const;
  const pods = cache.pods.map((pod) => ({ ...pod, ports: [...pod.ports, second] }));
  const ports = planAttachment({ ...cache, pods }, corednsAttachment).map(
    ({ selector }) => selector.sport || selector.dport,
  );
  t.deepEqual([...new Set(ports)].sort(), [0, 53, 9153]);
});

test('a pod from before Trapline is served by its status address, until an attachment holds that address', (t) => {
  const cache = seedCache();
  const [coredns, client] = cache.pods;
  if (coredns === undefined || client === undefined) {
    return t.fail();
  }
  const stale = { ...cache, pods: [{ ...coredns, addresses: ['172.16.166.178'] }, client] };
  const served = (attachments: Parameters<typeof planPolicies>[1]): boolean =>
    planPolicies(stale, attachments).some(({ selector }) => selector.src === '172.16.166.178/32');
  t.true(served([]));
  t.false(
    served([{ pod: { namespace: 'default', name: 'client', uid: '' }, addresses: ['172.16.166.178'] }]),
  );
});

test('an address of the host itself is guarded by `in`', (t) => {
  const cache = seedCache({
    localEndpoints: [
      { address: '192.168.206.3', host: true, ports: [{ proto: 'tcp', port: 53, child: 'tcp_kube-dns' }] },
    ],
  });
  const dirs = planPolicies(cache, [])
    .filter(({ selector }) => selector.dst === '192.168.206.3/32')
    .map(({ dir }) => dir);
  t.deepEqual(new Set(dirs), new Set(['in']));
});

test('a wider port absorbs the narrower ones and ICMP', (t) => {
  const cache = seedCache({
    localEndpoints: [
      {
        address: '172.16.166.140',
        host: false,
        ports: [
          { proto: 'tcp', port: 53, child: 'tcp_kube-dns' },
          { proto: 'any', port: 0, child: 'udp_kube-dns' },
        ],
      },
    ],
  });
  const protos = planPolicies(cache, [])
    .filter(({ selector }) => selector.src === '172.16.166.140/32')
    .map(({ selector }) => selector.proto);
  t.deepEqual(new Set(protos), new Set(['any']));
});

test('a peer without a reqid for a child is refused, nothing is laid', (t) => {
  const cache = seedCache();
  const error = t.throws(
    () =>
      planPolicies({ ...cache, peers: cache.peers.map((peer) => ({ ...peer, reqids: {} })) }, [
        corednsAttachment,
      ]),
    {
      instanceOf: PlanError,
    },
  );
  t.regex(error.message, /peers\[controller-0\]\.reqids has no (tcp|udp)_kube-dns_/);
});

test('IPv6 addresses get ICMPv6 and their own CIDRs, over the one tunnel of the peer', (t) => {
  const cache = seedCache();
  const dual: NodeCache = {
    ...cache,
    node: { ...cache.node, podCidrs: [...cache.node.podCidrs, 'fd00:1::/64'] },
    peers: cache.peers.map((peer, index) => ({
      ...peer,
      podCidrs: [...peer.podCidrs, `fd00:1${index}::/64`],
    })),
  };
  const policies = planAttachment(dual, { ...corednsAttachment, addresses: ['fd00:1::5'] });
  t.true(policies.some(({ selector }) => selector.proto === 'icmpv6'));
  t.true(policies.every(({ selector }) => selector.src.includes(':') && selector.dst.includes(':')));
  t.true(policies.every(({ template }) => !template.src.includes(':')));
});

const required = { proto: 'udp', port: 53, phase: 'require' } as const;

/** The children through which the policies of an address send. */
function childrenSending(cache: NodeCache, address: string): Set<string> {
  const names = new Map(
    cache.peers.flatMap(({ reqids }) => Object.entries(reqids).map(([name, reqid]) => [reqid, name])),
  );
  return new Set(
    planPolicies(cache, [corednsAttachment])
      .filter(({ dir, selector: { src, proto } }) => dir === 'out' && src === address && proto === 'udp')
      .map(({ template }) => names.get(template.reqid) ?? ''),
  );
}

/** The seed with another UDP child, which comes first, and reqids for it. */
function withFirst(overrides: Partial<NodeCache>): NodeCache {
  const cache = seedCache(overrides);
  return {
    ...cache,
    children: [{ name: 'udp_aaa', proto: 'udp', ports: [53] }, ...cache.children],
    peers: cache.peers.map((peer, index) => ({
      ...peer,
      reqids: {
        ...peer.reqids,
        udp_aaa_egress: 10_000_500 + 2 * index,
        udp_aaa_ingress: 10_000_501 + 2 * index,
      },
    })),
  };
}

test("what a slice says of a pod's address takes no port from the entry whose labels select the pod", (t) => {
  const [address = ''] = corednsAttachment.addresses;
  const cache = withFirst({
    localEndpoints: [{ address, host: false, ports: [{ ...required, child: 'udp_aaa' }] }],
  });
  t.deepEqual(childrenSending(cache, `${address}/32`), new Set(['udp_kube-dns_ingress']));
  const added = planAttachment(cache, corednsAttachment).map(({ template }) => template.reqid);
  t.false(added.some((reqid) => reqid >= 10_000_500));
});

test('of several children that have a port of an address the first is taken, but none that is being enabled', (t) => {
  const ends = (phase: 'accept' | 'require'): Set<string> => {
    const ports = [
      { ...required, child: 'udp_kube-dns' },
      { ...required, child: 'udp_aaa', phase },
    ];
    const cache = withFirst({ localEndpoints: [{ address: '172.16.166.180', host: false, ports }] });
    return childrenSending(cache, '172.16.166.180/32');
  };
  t.deepEqual(ends('require'), new Set(['udp_aaa_ingress']));
  t.deepEqual(ends('accept'), new Set(['udp_kube-dns_ingress']));
});

test('what goes to a departed peer finds no SA, even by a child that is newer than its leaving', (t) => {
  const cache = seedCache();
  const [gone, ...peers] = cache.peers;
  if (gone === undefined) {
    throw new Error('unreachable');
  }
  const departed = [{ ...gone, reqids: {}, until: Number.MAX_SAFE_INTEGER }];
  const sent = planPolicies({ ...cache, peers, departed }, [corednsAttachment]).filter(
    ({ dir, selector: { dst, proto } }) => dir === 'out' && dst === gone.podCidrs[0] && proto === 'udp',
  );
  t.deepEqual(
    sent.map(({ template: { reqid, level } }) => ({ reqid, level })),
    [{ reqid: REQID_STRANGER, level: 'required' }],
  );
});
