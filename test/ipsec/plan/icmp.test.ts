import test from 'ava';
import { isOurReqid, PRIORITY_FIRST, PRIORITY_LAST, REQID_ANY } from '../../../src/ipsec/plan/ours.ts';
import { planPolicies } from '../../../src/ipsec/plan/plan.ts';
import type { Phase, XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import { ownPolicy, type TablePolicy } from '../../../src/ipsec/xfrm/kernel-policy.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { corednsAttachment, seedCache } from '../../helpers/unit/cache.ts';

/** The seed's cluster in the middle of a change: TCP is in a phase, UDP is required. */
function inMidst(tcp: Phase): NodeCache {
  const phased = <T extends { readonly proto: string }>(ports: readonly T[]): (T & { phase: Phase })[] =>
    ports.map((port) => ({ ...port, phase: port.proto === 'tcp' ? tcp : 'require' }));
  const cache = seedCache();
  return {
    ...cache,
    entries: cache.entries.map((entry) => ({ ...entry, ports: phased(entry.ports) })),
    endpoints: cache.endpoints.map((endpoint) => ({ ...endpoint, ports: phased(endpoint.ports) })),
    unlisted: phased([
      { proto: 'tcp', port: 53, child: 'tcp_kube-dns' },
      { proto: 'udp', port: 53, child: 'udp_kube-dns' },
    ]),
  };
}

const icmpOf = (cache: NodeCache): XfrmPolicy[] =>
  planPolicies(cache, [corednsAttachment]).filter(({ selector }) => selector.proto === 'icmp');

test('ICMP comes in through whichever child of the peer, and is sent through one', (t) => {
  const policies = icmpOf(inMidst('require'));
  const [sent, received] = [true, false].map((out) => policies.filter(({ dir }) => (dir === 'out') === out));
  t.true((sent?.length ?? 0) > 4 && sent?.every(({ template }) => isOurReqid(template.reqid)));
  t.true((received?.length ?? 0) > 4 && received?.every(({ template }) => template.reqid === REQID_ANY));
});

for (const [phase, child] of [
  ['accept', 'udp_kube-dns'],
  ['send', 'udp_kube-dns'],
  ['require', 'tcp_kube-dns'],
] as const) {
  test(`with TCP in phase ${phase}, and UDP required, ICMP is sent through ${child}`, (t) => {
    const cache = inMidst(phase);
    const names = new Map(
      cache.peers.flatMap(({ reqids }) => Object.entries(reqids).map(([name, reqid]) => [reqid, name])),
    );
    const sent = icmpOf(cache).filter(({ dir }) => dir === 'out');
    const kinds = new Set(sent.map(({ priority }) => (priority < PRIORITY_FIRST + 2 ? 'address' : 'node')));
    t.is(kinds.size, 2, 'policies of protected addresses, and those for the rest of the node');
    for (const { template } of sent) {
      t.true(names.get(template.reqid)?.startsWith(child), names.get(template.reqid));
    }
  });
}

test('an entry that alone has port numbers does not take ICMP from the first, which has a whole protocol', (t) => {
  const cache = seedCache();
  const [entry] = cache.entries;
  const wide = {
    ...entry,
    name: 'first',
    ports: [{ proto: 'tcp', target: 0 }],
  } as NodeCache['entries'][number];
  const reqids = (reqid: number): Record<string, number> => ({ pods_tcp: reqid });
  const policies = icmpOf({
    ...cache,
    children: [{ name: 'pods_tcp', proto: 'tcp', ports: [] }, ...cache.children],
    entries: [wide, ...cache.entries],
    peers: cache.peers.map((peer, index) => ({
      ...peer,
      reqids: { ...peer.reqids, ...reqids(11_000_000 + index) },
    })),
    unlisted: [{ proto: 'tcp', port: 53, child: 'tcp_kube-dns' }],
  });
  const between = policies.filter(({ dir, priority }) => dir === 'out' && priority === PRIORITY_FIRST + 2);
  t.true(between.length > 0);
  t.true(between.every(({ template: { reqid } }) => reqid >= 11_000_000 && reqid < 11_000_010));
});

const INBOUND: TablePolicy = {
  kind: 'policy',
  dir: 'fwd',
  selector: { src: '10.2.0.0/24', dst: '10.1.0.3/32', proto: 'icmp', sport: 0, dport: 0 },
  priority: PRIORITY_FIRST,
  action: 'allow',
  templates: [
    {
      src: '192.168.0.2',
      dst: '192.168.0.1',
      proto: 'esp',
      spi: 0,
      reqid: REQID_ANY,
      mode: 'tunnel',
      level: 'required',
    },
  ],
  flags: [],
};

test('a policy for what comes in is ours by its priority and its tunnel', (t) => {
  t.truthy(ownPolicy(INBOUND));
  for (const proto of ['udp', 'any'] as const) {
    t.truthy(ownPolicy({ ...INBOUND, selector: { ...INBOUND.selector, proto } }));
  }
  t.truthy(ownPolicy({ ...INBOUND, dir: 'in', selector: { ...INBOUND.selector, proto: 'icmpv6' } }));
});

for (const [title, change] of [
  ['is for what is sent', { dir: 'out' }],
  ['is for all sources', { selector: { ...INBOUND.selector, src: '0.0.0.0/0' } }],
  ['names no end of its tunnel', { templates: INBOUND.templates.map((one) => ({ ...one, src: '0.0.0.0' })) }],
  ['is no tunnel', { templates: INBOUND.templates.map((one) => ({ ...one, mode: 'transport' })) }],
  ['is of AH', { templates: INBOUND.templates.map((one) => ({ ...one, proto: 'ah' })) }],
  ['has two templates', { templates: [...INBOUND.templates, ...INBOUND.templates] }],
  ['is for marked packets', { mark: { value: 1, mask: 1 } }],
  ['is for an interface', { ifId: 1 }],
  ['has another priority', { priority: PRIORITY_LAST + 1 }],
] as const) {
  test(`a policy without a reqid that ${title} is not ours`, (t) => {
    t.is(ownPolicy({ ...INBOUND, ...change }), undefined);
  });
}
