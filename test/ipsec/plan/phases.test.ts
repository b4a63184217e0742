import test from 'ava';
import { wholePlan } from '../../../src/agent/kernel/in-force.ts';
import { planPieces, planPolicies } from '../../../src/ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { corednsAttachment, seedCacheWithUnlisted } from '../../helpers/unit/cache.ts';
import { build } from '../../helpers/unit/model.ts';
import { item, node, policy, service, slice } from '../../helpers/unit/objects.ts';

const policyText = (policy: XfrmPolicy): string => JSON.stringify(policy);

const inPhase = (phase: 'accept' | 'send' | 'require'): NodeCache => {
  const cache = seedCacheWithUnlisted();
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
    planPolicies(seedCacheWithUnlisted(), [corednsAttachment]),
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
  const cache = seedCacheWithUnlisted();
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

test('between two protected nodes, what is enabled at one opens nothing that the other requires', (t) => {
  const pod = { targetRef: { kind: 'Pod' } };
  const objects = {
    nodes: [node('a'), node('b')],
    services: [service('dns', [{ port: 53 }]), service('web', [{ port: 80 }])],
    endpointSlices: [
      slice('dns', ['10.0.0.1'], [{ port: 53 }], { nodeName: 'a', ...pod }),
      slice('web', ['10.0.0.2'], [{ port: 80 }], { nodeName: 'b', ...pod }),
    ],
    policies: [policy('p-dns', item('dns', '*')), policy('p-web', item('web', '*'))],
  };
  const phases = new Map([
    ['p-dns', 'require'],
    ['p-web', 'accept'],
  ] as const);
  const { content } = build(objects, { nodeTraffic: true, phases });
  const cache = { ...seedCacheWithUnlisted(), ...content };
  const into = planPolicies(cache, []).filter(
    ({ dir, selector: { src, dst } }) => dir === 'in' && src === '10.0.0.2/32' && dst === '10.0.0.1/32',
  );
  t.true(into.length > 0);
  t.deepEqual([...new Set(into.map(({ template }) => template.level))], ['required']);

  const wanted = { cache, pins: new Map(), records: [], pieces: planPieces(cache, []) };
  const { policies } = wholePlan(wanted as never);
  t.deepEqual([...policies.values()].map(policyText).sort(), planPolicies(cache, []).map(policyText).sort());
});
