import test from 'ava';
import { SILENT_MS } from '../../../src/cluster/contract/heartbeat.ts';
import {
  type Bundle,
  type NodeTrust,
  nextBundle,
  type Patience,
  type Situation,
} from '../../../src/controller/keys/bundle.ts';
import { createSilence } from '../../../src/controller/keys/silence.ts';
import { createStepCounter, parseStep, writeStep } from '../../../src/controller/keys/step.ts';
import { createAuthority } from '../../../src/pki/authority.ts';
import { fingerprint } from '../../../src/pki/certificate.ts';
import { x509 } from '../../../src/pki/crypto.ts';

const authority = async (): Promise<x509.X509Certificate> =>
  new x509.X509Certificate((await createAuthority({ days: 10, now: new Date() })).certificate);
const [old, next] = [await authority(), await authority()];
const [oldRoot, newRoot] = [fingerprint(old), fingerprint(next)];
const both = [oldRoot, newRoot];
const before: Bundle = { root: oldRoot, certificates: [old] };
const during: Bundle = { root: oldRoot, certificates: [old, next] };
const after: Bundle = { root: newRoot, certificates: [old, next] };
const node = (name: string, root: string, trusted: readonly string[], silent = false): NodeTrust => ({
  name,
  root,
  trusted,
  silent,
});
const HOUR = 3_600_000;
const PATIENCE: Patience = { limitMs: HOUR, silentMs: 180_000 };
const look = (situation: Partial<Situation>) =>
  nextBundle({ before, step: undefined, wanted: next, nodes: [], ...situation }, PATIENCE);
const trust = (waitedMs: number) => ({ kind: 'trust', root: newRoot, waitedMs }) as const;
const follow = (waitedMs: number) => ({ kind: 'follow', root: newRoot, waitedMs }) as const;

test('the first CA is trusted at once', (t) => {
  t.deepEqual(look({ before: undefined, wanted: old }), {
    bundle: { root: oldRoot, certificates: [old] },
    step: undefined,
    waitingFor: [],
    givenUp: [],
  });
});

test('while the CA is the same nothing changes and nobody is waited for, whatever a node says', (t) => {
  const nodes = [
    node('a', oldRoot, [oldRoot]),
    node('nothing', oldRoot, []),
    node('zero', '00', []),
    node('unknown', newRoot, [newRoot]),
  ];
  const { bundle, step, waitingFor } = look({ wanted: old, nodes });
  t.deepEqual([bundle, step, waitingFor], [before, undefined, []]);
});

test('another CA: both are trusted, and the old one stays in force until every node trusts the new one', (t) => {
  const { bundle, waitingFor, step } = look({
    nodes: [node('a', oldRoot, both), node('b', oldRoot, [oldRoot])],
  });
  t.deepEqual(waitingFor, ['b']);
  t.is(bundle.root, oldRoot);
  t.deepEqual(bundle.certificates.map(fingerprint), both);
  t.deepEqual(step, trust(0));
});

test('then the new one is in force, and both stay trusted', (t) => {
  const { bundle, waitingFor, step } = look({
    before: during,
    nodes: [node('a', newRoot, both), node('b', oldRoot, both)],
  });
  t.deepEqual(waitingFor, ['b']);
  t.is(step?.kind, 'follow');
  t.is(bundle.root, newRoot);
  t.deepEqual(bundle.certificates.map(fingerprint), both);
});

test('when every node has one, the old CA is forgotten', (t) => {
  const { bundle } = look({ before: after, nodes: [node('a', newRoot, both), node('b', newRoot, both)] });
  t.deepEqual(bundle, { root: newRoot, certificates: [next] });
});

test('a third CA before the second is through: whoever is trusted stays so', async (t) => {
  const third = await authority();
  const step = trust(HOUR);
  const found = look({ before: during, step, wanted: third, nodes: [node('a', oldRoot, both)] });
  t.deepEqual(found.waitingFor, ['a'], 'the time of the step before does not count');
  t.deepEqual(found.bundle.certificates.map(fingerprint), [...both, fingerprint(third)]);
});

test('who does not come to trust the new CA is given up after the limit, and holds up no other', (t) => {
  const nodes = [node('a', oldRoot, both), node('liar', oldRoot, [])];
  const early = look({ before: during, step: trust(HOUR - 1), nodes });
  t.deepEqual([early.bundle.root, early.waitingFor, early.givenUp], [oldRoot, ['liar'], []]);
  t.deepEqual(early.step, trust(HOUR - 1), 'the time goes on, for another leader too');
  const late = look({ before: during, step: trust(HOUR), nodes });
  t.deepEqual([late.bundle.root, late.givenUp, late.step], [newRoot, ['liar'], follow(0)]);
  const then = look({ before: late.bundle, step: follow(HOUR), nodes });
  t.deepEqual(then.bundle, { root: newRoot, certificates: [next] }, 'nor does it keep the old one trusted');
  t.deepEqual(then.givenUp, ['a', 'liar']);
  const settled = look({ before: then.bundle, step: then.step, nodes });
  t.deepEqual([settled.waitingFor, settled.givenUp], [[], []], 'once');
});

test('a certificate of a CA that nobody knows has no part in a change', (t) => {
  const nodes = [node('a', oldRoot, both), node('zero', '00', []), node('other', 'f'.repeat(64), [])];
  t.is(look({ before: during, nodes }).bundle.root, newRoot);
  t.is(look({ before: after, nodes: nodes.slice(1) }).bundle.certificates.length, 1);
});

test('silent nodes are waited for until it is sure that not all only seem so', (t) => {
  const nodes = [node('a', oldRoot, [oldRoot], true), node('b', oldRoot, both)];
  t.deepEqual(look({ before: during, step: trust(179_999), nodes }).waitingFor, ['a']);
  t.is(look({ before: during, step: trust(180_000), nodes }).bundle.root, newRoot);
  t.deepEqual(look({ before: after, nodes }).waitingFor, ['a', 'b'], 'nothing is urgent in forgetting');
});

test('a CA in force that has ended is left at once', (t) => {
  const nodes = [node('a', oldRoot, [oldRoot])];
  const ended: Bundle = { root: 'e'.repeat(64), certificates: [old] };
  t.is(look({ before: ended, nodes }).bundle.root, newRoot);
});

test('a step is read as it was written, in minutes; what is no step is none', (t) => {
  t.deepEqual(parseStep(writeStep(follow(5 * 60_000 + 1))), follow(5 * 60_000));
  t.is(writeStep(undefined), '');
  for (const text of ['', 'trust', `trust ${newRoot} yesterday`, `other ${newRoot} PT1M`]) {
    t.is(parseStep(text), undefined);
  }
  t.is(parseStep(`trust ${newRoot} 2026-01-01T00:00:00Z`), undefined, 'of a former version: begins anew');
});

test('a step goes on by the time of each leader, and by no wall clock', (t) => {
  let now = 1_000;
  const first = createStepCounter(() => now);
  t.deepEqual(first.count(trust(0)), trust(0));
  now += 90_000;
  const stored = parseStep(writeStep(first.count(trust(0))));
  t.deepEqual(first.count(stored), trust(90_000), 'more exact than what is stored');
  const second = createStepCounter(() => now);
  t.deepEqual(second.count(stored), trust(60_000));
  now += 1_000;
  t.deepEqual(second.count(stored), trust(61_000));
  t.deepEqual(second.count(follow(0)), follow(0));
  t.is(second.count(undefined), undefined);
  t.deepEqual(first.count(trust(600_000)), trust(600_000), 'another has waited longer');
});

test('a node is silent whose heartbeat stays the same', (t) => {
  let now = 0;
  const { isSilent } = createSilence(() => now);
  t.false(isSilent('a', '2000-01-01T00:00:00Z'));
  now += SILENT_MS;
  t.false(isSilent('a', '2000-01-01T00:00:00Z'));
  now += 1;
  t.true(isSilent('a', '2000-01-01T00:00:00Z'));
  t.false(isSilent('a', '2000-01-01T00:00:01Z'));
});
