import test from 'ava';
import {
  type Bundle,
  type NodeTrust,
  nextBundle,
  type Patience,
  type Situation,
} from '../../../src/controller/keys/bundle.ts';
import { parseStep, writeStep } from '../../../src/controller/keys/step.ts';
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
const PATIENCE: Patience = { now: 10 * HOUR, limitMs: HOUR, silentMs: 180_000 };
const look = (situation: Partial<Situation>, now = PATIENCE.now) =>
  nextBundle({ before, step: undefined, wanted: next, nodes: [], ...situation }, { ...PATIENCE, now });

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
  t.deepEqual(step, { kind: 'trust', root: newRoot, since: PATIENCE.now });
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
  const step = { kind: 'trust', root: newRoot, since: 0 } as const;
  const found = look({ before: during, step, wanted: third, nodes: [node('a', oldRoot, both)] });
  t.deepEqual(found.waitingFor, ['a'], 'the time of the step before does not count');
  t.deepEqual(found.bundle.certificates.map(fingerprint), [...both, fingerprint(third)]);
});

test('who does not come to trust the new CA is given up after the limit, and holds up no other', (t) => {
  const nodes = [node('a', oldRoot, both), node('liar', oldRoot, [])];
  const step = { kind: 'trust', root: newRoot, since: PATIENCE.now } as const;
  const early = look({ before: during, step, nodes }, PATIENCE.now + HOUR - 1);
  t.deepEqual([early.bundle.root, early.waitingFor, early.givenUp], [oldRoot, ['liar'], []]);
  t.deepEqual(early.step, step, 'the time goes on, for another leader too');
  const late = look({ before: during, step, nodes }, PATIENCE.now + HOUR);
  t.deepEqual([late.bundle.root, late.givenUp], [newRoot, ['liar']]);
  const then = look({ before: late.bundle, step: late.step, nodes }, PATIENCE.now + 2 * HOUR);
  t.deepEqual(then.bundle, { root: newRoot, certificates: [next] }, 'nor does it keep the old one trusted');
  t.deepEqual(then.givenUp, ['a', 'liar']);
  const settled = look({ before: then.bundle, step: then.step, nodes }, PATIENCE.now + 3 * HOUR);
  t.deepEqual([settled.waitingFor, settled.givenUp], [[], []], 'once');
});

test('a certificate of a CA that nobody knows has no part in a change', (t) => {
  const nodes = [node('a', oldRoot, both), node('zero', '00', []), node('other', 'f'.repeat(64), [])];
  t.is(look({ before: during, nodes }).bundle.root, newRoot);
  t.is(look({ before: after, nodes: nodes.slice(1) }).bundle.certificates.length, 1);
});

test('silent nodes are waited for until it is sure that not all only seem so', (t) => {
  const nodes = [node('a', oldRoot, [oldRoot], true), node('b', oldRoot, both)];
  const step = { kind: 'trust', root: newRoot, since: PATIENCE.now } as const;
  t.deepEqual(look({ before: during, step, nodes }, PATIENCE.now + 179_999).waitingFor, ['a']);
  t.is(look({ before: during, step, nodes }, PATIENCE.now + 180_000).bundle.root, newRoot);
  t.deepEqual(look({ before: after, nodes }).waitingFor, ['a', 'b'], 'nothing is urgent in forgetting');
});

test('a clock that went back begins the time anew; a CA in force that has ended is left at once', (t) => {
  const nodes = [node('a', oldRoot, [oldRoot])];
  const step = { kind: 'trust', root: newRoot, since: PATIENCE.now + 1 } as const;
  t.is(look({ before: during, step, nodes }).step?.since, PATIENCE.now);
  const ended: Bundle = { root: 'e'.repeat(64), certificates: [old] };
  t.is(look({ before: ended, nodes }).bundle.root, newRoot);
});

test('a step is read as it was written; what is no step is none', (t) => {
  const step = { kind: 'follow', root: newRoot, since: 1_700_000_000_000 } as const;
  t.deepEqual(parseStep(writeStep(step)), step);
  t.is(writeStep(undefined), '');
  for (const text of ['', 'trust', `trust ${newRoot} yesterday`, `other ${newRoot} 2026-01-01T00:00:00Z`]) {
    t.is(parseStep(text), undefined);
  }
});
