import test from 'ava';
import { DEPARTED_MS } from '../../../src/agent/model/departed.ts';
import type { Model } from '../../../src/agent/model/types.ts';
import { REQID_STRANGER } from '../../../src/ipsec/plan/ours.ts';
import { planPolicies } from '../../../src/ipsec/plan/plan.ts';
import { build } from '../../helpers/unit/model.ts';
import { item, node, policy, service, slice } from '../../helpers/unit/objects.ts';

const web = {
  services: [service('web', [{ port: 80 }])],
  endpointSlices: [slice('web', ['10.1.1.5'], [{ port: 80, protocol: 'TCP' }])],
  policies: [policy('p', item('web', 'tcp/80'))],
};
const three = (): Model => build(web);
const after = (nodes: Parameters<typeof build>[0]['nodes'], now = 1): Model =>
  build({ ...web, ...(nodes === undefined ? {} : { nodes }) }, { previous: three().content, now });

test('a peer that leaves keeps its policies and loses its connection', (t) => {
  const { content } = after([node('a'), node('b')]);
  t.deepEqual(
    content.peers.map(({ name }) => name),
    ['b'],
  );
  const [gone] = content.departed ?? [];
  t.is(gone?.name, 'c');
  t.is(gone?.until, 1 + DEPARTED_MS);
  const cidr = gone?.podCidrs[0] ?? '';
  const cache = { schema: 1 as const, generation: 1, writtenAt: 0, ...content };
  t.true(planPolicies(cache, []).some(({ dir, selector }) => dir === 'out' && selector.dst === cidr));
});

test('for a while', (t) => {
  const { content } = after([node('a'), node('b')]);
  const later = (now: number): number =>
    build({ ...web, nodes: [node('a'), node('b')] }, { previous: content, now }).content.departed?.length ??
    0;
  t.is(later(DEPARTED_MS), 1);
  t.is(later(1 + DEPARTED_MS), 0);
});

test('not where another node has the addresses now, or a part of them', (t) => {
  const whole = { ...node('d'), spec: node('c').spec };
  t.is(after([node('a'), node('b'), whole]).content.departed, undefined);
});

test('a departed peer has no reqid for what is protected since', (t) => {
  const two = [node('a'), node('b')];
  const { content } = after(two);
  const more = {
    ...web,
    nodes: two,
    services: [...web.services, service('db', [{ port: 90 }])],
    policies: [policy('p', item('web', 'tcp/80'), item('db', 'tcp/90'))],
  };
  const { content: later } = build(more, { previous: content, now: 2 });
  t.true(later.unlisted?.some(({ port }) => port === 90));
  t.notThrows(() => planPolicies({ schema: 1, generation: 1, writtenAt: 0, ...later }, []));
});

test('the pods of a node keep the addresses of a pod CIDR that it lost', (t) => {
  const moved = { ...node('a'), spec: { podCIDRs: ['10.9.9.0/24'] } };
  const { content } = after([moved, node('b'), node('c')]);
  t.deepEqual(
    content.node.formerCidrs?.map(({ cidr }) => cidr),
    three().content.node.podCidrs,
  );
  const cache = { schema: 1 as const, generation: 1, writtenAt: 0, ...content };
  const from = new Set(
    planPolicies(cache, [])
      .filter(({ dir }) => dir === 'out')
      .map(({ selector }) => selector.src),
  );
  t.true(from.has(three().content.node.podCidrs[0] ?? ''));
});

/** What `a` sends from its pods to those of c that is dropped, as `<protocol>/<port>`, once c has left. */
function dropped(of: Partial<Parameters<typeof build>[0]>, more: Parameters<typeof build>[1] = {}): string[] {
  const objects = { ...web, ...of };
  const { content: before } = build(objects, more);
  const { content } = build(
    { ...objects, nodes: [node('a'), node('b')] },
    { ...more, previous: before, now: 1 },
  );
  const here = content.node.podCidrs[0];
  const [there] = content.departed?.[0]?.podCidrs ?? [];
  return planPolicies({ schema: 1, generation: 1, writtenAt: 0, ...content }, [])
    .filter(({ dir, selector: { src, dst } }) => dir === 'out' && src === here && dst === there)
    .map(({ selector: { proto, sport, dport } }) => `${proto}/${sport || '*'}-${dport || '*'}`)
    .sort();
}

const protecting = (ports: unknown, more: object = {}): Partial<Parameters<typeof build>[0]> => ({
  policies: [policy('p', item('web', ports, more))],
});
const everyPort = ['icmp/*-*', 'tcp/*-*'];
const onePort = ['icmp/*-*', 'tcp/*-80', 'tcp/80-*'];

for (const protectUnlisted of [true, false]) {
  const title = `dropped on the way to a departed peer, unlisted ${protectUnlisted ? 'protected' : 'passed'}`;
  test(`${title}: a port`, (t) => t.deepEqual(dropped({}, { protectUnlisted }), onePort));
  test(`${title}: tcp/*`, (t) => t.deepEqual(dropped(protecting('tcp/*'), { protectUnlisted }), everyPort));
  test(`${title}: *`, (t) =>
    t.deepEqual(dropped(protecting('*'), { protectUnlisted }), ['any/*-*', 'icmp/*-*']));
  test(`${title}: the mesh`, (t) =>
    t.true(
      dropped(
        { policies: [policy('p', item('m', '*', { servicename: '*', servicens: '*' }))] },
        { protectUnlisted },
      ).includes('any/*-*'),
    ));
  test(`${title}: with one child for all`, (t) =>
    t.deepEqual(dropped({}, { protectUnlisted, childSaScope: 'node' }), onePort));
}

test('what is protected since a peer left is dropped on the way there too, by a reqid that no child has', (t) => {
  const two = [node('a'), node('b')];
  const { content } = after(two);
  for (const [since, proto] of [
    [policy('p', item('web', 'tcp/80'), item('m', '*', { servicename: '*', servicens: '*' })), 'any'],
    [policy('p', item('web', 'tcp/80'), item('web', 'sctp/*', { name: 'w' })), 'sctp'],
  ] as const) {
    const { content: later } = build(
      { ...web, nodes: two, policies: [since] },
      { previous: content, now: 2 },
    );
    const [there] = later.departed?.[0]?.podCidrs ?? [];
    const policies = planPolicies({ schema: 1, generation: 1, writtenAt: 0, ...later }, []);
    const found = policies.filter(
      ({ dir, selector }) => dir === 'out' && selector.dst === there && selector.proto === proto,
    );
    t.is(found[0]?.template.reqid, REQID_STRANGER);
    t.is(found[0]?.template.level, 'required');
  }
});

test('nothing more is in the cache while nobody has left', (t) => {
  t.is(three().content.guarded, undefined);
});
