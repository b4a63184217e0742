import test from 'ava';
import { ignoredIn, stateOfTrap } from '../../../../src/ipsec/charon/log/ignored.ts';
import { childSa, ikeSa } from '../../../helpers/charon/values.ts';

const DUPLICATE =
  'not establishing CHILD_SA udp_dns_egress{9} due to existing duplicate {7} with SPIs c1_i c2_o and TS 10.1.0.0/24 === 10.2.0.0/24';

test('charon tells of acquires that came to nothing', (t) => {
  t.deepEqual(ignoredIn({ msg: 'ignoring acquire for reqid 10000001, connection attempt pending' }), {
    reqid: 10_000_001,
  });
  t.deepEqual(ignoredIn({ 'ikesa-name': 'k8s-node-b', msg: DUPLICATE }), {
    connection: 'k8s-node-b',
    child: 'udp_dns_egress',
  });
});

test('other lines, and connections of others, say nothing', (t) => {
  t.is(ignoredIn({ 'ikesa-name': 'office', msg: DUPLICATE }), undefined);
  t.is(ignoredIn({ msg: DUPLICATE }), undefined);
  t.is(ignoredIn({ msg: 'creating acquire job for policy with reqid {10000001}' }), undefined);
  t.is(ignoredIn({ 'ikesa-name': 'k8s-node-b', msg: 'establishing CHILD_SA udp_dns_egress{9}' }), undefined);
  t.is(ignoredIn({}), undefined);
});

const REQID = 10_000_000;
const state = test.macro<[ReturnType<typeof stateOfTrap>, ...Parameters<typeof stateOfTrap>[0]]>({
  exec: (t, expected, ...sas) => t.is(stateOfTrap(sas, REQID), expected),
  title: (title, expected) => `a trap is ${expected}: ${title}`,
});
test('its CHILD_SA is there', state, 'up', ikeSa(), ikeSa({ uniqueId: 2, children: [childSa()] }));
test('its CHILD_SA is being rekeyed', state, 'up', ikeSa({ children: [childSa({ state: 'REKEYING' })] }));
test('it was rekeyed', state, 'stuck', ikeSa({ children: [childSa({ state: 'REKEYED' })] }));
test('its CHILD_SA goes', state, 'stuck', ikeSa({ children: [childSa({ state: 'DELETING' })] }));
test("another's CHILD_SA is there", state, 'stuck', ikeSa({ children: [childSa({ reqid: 5 })] }));
test('it is being negotiated', state, 'pending', ikeSa({ negotiating: true }));
test('the IKE_SA is', state, 'pending', ikeSa(), ikeSa({ uniqueId: 2, state: 'CONNECTING' }));
test('there is no IKE_SA: charon takes the next acquire', state, 'pending');
