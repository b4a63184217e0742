import test from 'ava';
import { isSilent, NODE_HEARTBEAT_MS } from '../../../src/cluster/contract/heartbeat.ts';
import { ipsecNodeSchema } from '../../../src/cluster/contract/node-status.ts';

const METADATA = { name: 'a', uid: 'u' };
const STATUS = {
  observedPolicies: [
    { name: 'p', uid: 'u', generation: 1, phase: 'send' },
    { name: 'q', uid: 'v', generation: 2 },
  ],
  lastHeartbeat: '2026-11-21T12:00:00.000Z',
  certificate: {
    notBefore: '2026-11-01T00:00:00.000Z',
    notAfter: '2026-12-01T00:00:00.000Z',
    root: 'f0'.repeat(32),
    trusted: ['f0'.repeat(32)],
  },
  failures: [{ peer: 'b', reason: 'no answer' }],
  conditions: [{ type: 'Healthy', status: 'True', message: '' }],
};

const read = (status: object) => ipsecNodeSchema.parse({ metadata: METADATA, status }).status;

const WHOLE = {
  ...STATUS,
  observedPolicies: [
    { name: 'p', uid: 'u', generation: 1, reached: 'send' },
    { name: 'q', uid: 'v', generation: 2, reached: 'none' },
  ],
};

test('a policy without a phase has reached none', (t) => {
  t.deepEqual(read({ ...STATUS, newerField: 1 }), WHOLE as ReturnType<typeof read>);
});

const bad = test.macro<[status: Readonly<Record<string, unknown>>, reads: object]>({
  exec: (t, status, reads) =>
    t.deepEqual(read({ ...STATUS, ...status }), { ...WHOLE, ...reads } as ReturnType<typeof read>),
  title: (title) => `a bad field spoils no other: ${title}`,
});

test('no list', bad, { observedPolicies: 'all' }, { observedPolicies: [] });
test(
  'a policy without a uid',
  bad,
  { observedPolicies: [{ name: 'p', generation: 1 }] },
  { observedPolicies: [] },
);
test(
  'a phase of tomorrow',
  bad,
  { observedPolicies: [{ name: 'p', uid: 'u', generation: 1, phase: 'insist' }] },
  { observedPolicies: [{ name: 'p', uid: 'u', generation: 1, reached: 'none' }] },
);
test('a heartbeat that is a number', bad, { lastHeartbeat: 1 }, { lastHeartbeat: '' });
test('failures without a reason', bad, { failures: [{ peer: 'b' }] }, { failures: [] });
test(
  'a certificate in part',
  bad,
  { certificate: { root: 'f0'.repeat(32), trusted: 'f0' } },
  { certificate: { notBefore: '', notAfter: '', root: 'f0'.repeat(32), trusted: [] } },
);
test(
  'a CA that is none, and trust in what is none',
  bad,
  { certificate: { ...STATUS.certificate, root: '00', trusted: ['00'] } },
  { certificate: { ...STATUS.certificate, root: '', trusted: [] } },
);
test(
  'trust in thousands of CAs',
  bad,
  { certificate: { ...STATUS.certificate, trusted: Array(5_000).fill('f0'.repeat(32)) } },
  { certificate: { ...STATUS.certificate, trusted: [] } },
);
test(
  'a condition without a message',
  bad,
  { conditions: [{ type: 'Healthy', status: 'False' }] },
  { conditions: [{ type: 'Healthy', status: 'False', message: '' }] },
);
test('no condition', bad, { conditions: [{ status: 'True' }] }, { conditions: [] });

test('no certificate at all', (t) => {
  const { certificate: _none, ...rest } = STATUS;
  t.is(read(rest)?.certificate, undefined);
  t.is(read({ ...rest, certificate: 'f0' })?.certificate, undefined);
  t.is(ipsecNodeSchema.parse({ metadata: METADATA }).status, undefined);
});

test('a node is silent after three heartbeats that did not come, and one without a time is', (t) => {
  const last = Date.parse(STATUS.lastHeartbeat);
  t.false(isSilent(STATUS.lastHeartbeat, last + 3 * NODE_HEARTBEAT_MS));
  t.true(isSilent(STATUS.lastHeartbeat, last + 3 * NODE_HEARTBEAT_MS + 1));
  t.true(isSilent('', last));
});
