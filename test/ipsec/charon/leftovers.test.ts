import test from 'ava';
import { type CharonState, findLeftovers, type Leftovers } from '../../../src/ipsec/charon/leftovers.ts';
import type { ChildSa, IkeSa } from '../../../src/ipsec/charon/replies.ts';
import { childSa, connection, ikeSa } from '../../helpers/charon/values.ts';

const NOTHING: Leftovers = { connections: [], ikeSas: [], childSas: [], traps: [], missingTraps: [] };

function state(overrides: Partial<CharonState> = {}): CharonState {
  return {
    connections: ['k8s-node-b'],
    sas: [],
    traps: [
      { ike: 'k8s-node-b', child: 'udp_dns_egress' },
      { ike: 'k8s-node-b', child: 'udp_dns_ingress' },
    ],
    stale: new Set(),
    ...overrides,
  };
}

const sa = (overrides: Partial<IkeSa>, ...children: Partial<ChildSa>[]): IkeSa =>
  ikeSa({ ...overrides, children: children.map(childSa) });

const finds = test.macro<[found: Partial<CharonState>, expected: Partial<Leftovers>]>(
  (t, found, expected) => {
    t.deepEqual(findLeftovers([connection('b')], state(found)), { ...NOTHING, ...expected });
  },
);

test('all as desired', finds, { sas: [sa({}, { name: 'udp_dns_egress' })] }, {});
test(
  'a connection of ours too many',
  finds,
  { connections: ['k8s-node-b', 'k8s-node-c'] },
  { connections: ['k8s-node-c'] },
);
test('a connection of others', finds, { connections: ['k8s-node-b', 'roadwarrior'] }, {});
test(
  'an IKE_SA of a removed connection',
  finds,
  { sas: [sa({ connection: 'k8s-node-c', uniqueId: 7 }, { name: 'x' })] },
  { ikeSas: [7] },
);
test('an IKE_SA of others', finds, { sas: [sa({ connection: 'roadwarrior' }, { name: 'x' })] }, {});
test(
  'an IKE_SA that is being deleted',
  finds,
  { sas: [sa({ connection: 'k8s-node-c', state: 'DELETING' })] },
  {},
);
test(
  'an IKE_SA with a replaced configuration',
  finds,
  { stale: new Set([9]), sas: [sa({ uniqueId: 9 }, { name: 'gone' }), sa({ uniqueId: 10 })] },
  { ikeSas: [9] },
);
test(
  'a CHILD_SA of a removed child',
  finds,
  { sas: [sa({}, { name: 'udp_dns_egress', uniqueId: 1 }, { name: 'tcp_dns_egress', uniqueId: 2 })] },
  { childSas: [2] },
);
test(
  'a CHILD_SA that is on its way out',
  finds,
  { sas: [sa({}, { name: 'tcp_dns_egress', state: 'REKEYED' })] },
  {},
);
test(
  'a trap that came back',
  finds,
  {
    traps: [
      ...state().traps,
      { ike: 'k8s-node-b', child: 'tcp_dns_egress' },
      { ike: 'k8s-node-c', child: 'udp_dns_egress' },
      { ike: 'roadwarrior', child: 'x' },
    ],
  },
  {
    traps: [
      { ike: 'k8s-node-b', child: 'tcp_dns_egress' },
      { ike: 'k8s-node-c', child: 'udp_dns_egress' },
    ],
  },
);
test(
  'a trap that is missing',
  finds,
  { traps: state().traps.slice(1) },
  { missingTraps: [{ ike: 'k8s-node-b', child: 'udp_dns_egress' }] },
);

test('a connection without children counts as removed', (t) => {
  const found = state({ sas: [sa({ uniqueId: 3 }, { name: 'udp_dns_egress' })] });
  t.deepEqual(findLeftovers([{ ...connection('b'), children: [] }], found), {
    ...NOTHING,
    connections: ['k8s-node-b'],
    ikeSas: [3],
    traps: state().traps,
  });
});
