import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { policyKey } from '../../../src/ipsec/plan/ours.ts';
import { PlanError, plan, planAttachment, planPolicies } from '../../../src/ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { corednsAttachment, seedCache } from '../../helpers/unit/cache.ts';
import { golden } from '../../helpers/unit/root.ts';

function line(policy: XfrmPolicy): string {
  const { src, dst, reqid, level } = policy.template;
  return `${policyKey(policy)} | priority ${policy.priority} tmpl ${src} ${dst} reqid ${reqid} ${level}`;
}

/** Compares with a golden file; UPDATE_GOLDENS=1 writes it anew. */
const matchesGolden = test.macro({
  exec(t, file: string, text: () => string) {
    const path = golden(`ipsec/plan/golden/${file}`);
    if (process.env.UPDATE_GOLDENS === '1') {
      writeFileSync(path, text());
    }
    t.is(text(), readFileSync(path, 'utf8'));
  },
  title: (_, file) => `golden: ${file}`,
});

const nodeScope = (): NodeCache => {
  const cache = seedCache({
    childSaScope: 'node',
    children: [{ name: 'pods', proto: 'any', ports: [] }],
  });
  const pods = (name: string): NodeCache['endpoints'][number]['ports'] =>
    cache.endpoints
      .flatMap((endpoint) => (endpoint.node === name ? endpoint.ports : []))
      .map((port) => ({ ...port, child: 'pods' }));
  return {
    ...cache,
    peers: cache.peers.map((peer, index) => ({ ...peer, reqids: { pods: 10_000_000 + index } })),
    endpoints: cache.endpoints.map((endpoint) => ({ ...endpoint, ports: pods(endpoint.node) })),
  };
};

const text = (cache: NodeCache): string => {
  const { policies, connections } = plan(cache, [corednsAttachment]);
  return `${policies.map(line).join('\n')}\n${JSON.stringify(connections, null, 2)}\n`;
};

test('service.txt', matchesGolden, 'service.txt', () => text(seedCache()));
test('node.txt', matchesGolden, 'node.txt', () => text(nodeScope()));
test('mesh.txt', matchesGolden, 'mesh.txt', () =>
  text({ ...nodeScope(), mesh: true, entries: [], endpoints: [] }),
);

const withPort = (more: Partial<NodeCache>): NodeCache =>
  seedCache({
    unlisted: [
      { proto: 'tcp', port: 9153, child: 'tcp_kube-dns' },
      { proto: 'udp', port: 53, child: 'udp_kube-dns' },
    ],
    ...more,
  });

test('unlisted.txt', matchesGolden, 'unlisted.txt', () => text(withPort({})));
test('node-traffic.txt', matchesGolden, 'node-traffic.txt', () => text(withPort({ nodeTraffic: true })));
test('strict.txt', matchesGolden, 'strict.txt', () => text(seedCache({ strict: true })));

const inPhase = (phase: 'accept' | 'send' | 'require'): NodeCache => {
  const cache = withPort({});
  const ports = <T extends object>(list: readonly T[]): (T & { phase: typeof phase })[] =>
    list.map((port) => ({ ...port, phase }));
  return {
    ...cache,
    entries: cache.entries.map((entry) => ({ ...entry, ports: ports(entry.ports) })),
    endpoints: cache.endpoints.map((endpoint) => ({ ...endpoint, ports: ports(endpoint.ports) })),
    unlisted: ports(cache.unlisted ?? []),
  };
};
const levels = (phase: 'accept' | 'send' | 'require', dirs: readonly string[]): Set<string> =>
  new Set(
    planPolicies(inPhase(phase), [corednsAttachment])
      .filter(({ dir, priority }) => dirs.includes(dir) && priority < 1_102)
      .map(({ template }) => template.level),
  );

test('the phases of enabling: let both in and send nothing, send, require', (t) => {
  t.deepEqual(levels('accept', ['out']), new Set());
  t.deepEqual(levels('accept', ['fwd', 'in']), new Set(['use']));
  t.deepEqual(levels('send', ['out']), new Set(['required']));
  t.deepEqual(levels('send', ['fwd', 'in']), new Set(['use']));
  t.deepEqual(levels('require', ['fwd', 'in']), new Set(['required']));
  t.is(planPolicies(inPhase('accept'), []).filter(({ dir }) => dir === 'out').length, 0);
  t.deepEqual(
    planPolicies(inPhase('require'), [corednsAttachment]),
    planPolicies(withPort({}), [corednsAttachment]),
    'a port without a phase is required',
  );
});

test('strangers are refused only where ESP is required', (t) => {
  const strangers = (phase: 'accept' | 'send' | 'require'): number =>
    planPolicies({ ...inPhase(phase), strict: true }, [corednsAttachment]).filter(
      ({ selector }) => selector.src === '0.0.0.0/0',
    ).length;
  t.deepEqual([strangers('accept'), strangers('send')], [0, 0]);
  t.true(strangers('require') > 0);
});

test('of two ports that one policy covers, the one that is further decides', (t) => {
  const cache = withPort({});
  const ports = cache.endpoints[0]?.ports ?? [];
  const wide = { proto: 'udp' as const, port: 0, child: 'pods_udp', phase: 'accept' as const };
  const endpoints = cache.endpoints.map((endpoint) => ({ ...endpoint, ports: [wide, ...ports] }));
  const peers = cache.peers.map((peer) => ({ ...peer, reqids: { ...peer.reqids, pods_udp: 10_000_777 } }));
  const found = planPolicies({ ...cache, endpoints, peers }, []).filter(
    ({ dir, selector, priority }) => dir !== 'out' && selector.proto === 'udp' && priority < 1_102,
  );
  t.true(found.length > 0);
  t.true(found.every(({ selector, template }) => selector.sport === 0 && template.level === 'required'));
});

test('ADD lays exactly what the whole plan holds for the address', (t) => {
  const address = '172.16.166.178/32';
  const whole = planPolicies(seedCache(), [corednsAttachment]).filter(
    ({ selector }) => selector.src === address || selector.dst === address,
  );
  const added = planAttachment(seedCache(), corednsAttachment);
  t.deepEqual(added.map(line).sort(), whole.map(line).sort());
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
