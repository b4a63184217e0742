import test from 'ava';
import { DEPARTED_MS } from '../../../src/agent/model/departed.ts';
import type { Model } from '../../../src/agent/model/types.ts';
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
