import test from 'ava';
import { type Bundle, type NodeTrust, nextBundle } from '../../../src/controller/keys/bundle.ts';
import { createAuthority } from '../../../src/pki/authority.ts';
import { fingerprint } from '../../../src/pki/certificate.ts';
import { x509 } from '../../../src/pki/crypto.ts';

const authority = async (): Promise<x509.X509Certificate> =>
  new x509.X509Certificate((await createAuthority({ days: 10, now: new Date() })).certificate);
const [old, next] = [await authority(), await authority()];
const [oldRoot, newRoot] = [fingerprint(old), fingerprint(next)];
const before: Bundle = { root: oldRoot, certificates: [old] };
const node = (name: string, root: string, trusted: readonly string[]): NodeTrust => ({ name, root, trusted });

test('the first CA is trusted at once', (t) => {
  t.deepEqual(nextBundle(undefined, old, []), {
    bundle: { root: oldRoot, certificates: [old] },
    waitingFor: [],
  });
});

test('nothing changes while the CA is the same', (t) => {
  t.deepEqual(nextBundle(before, old, [node('a', oldRoot, [oldRoot])]).bundle, before);
});

test('another CA: both are trusted, and the old one is wanted until every node trusts the new one', (t) => {
  const both = [oldRoot, newRoot];
  const { bundle, waitingFor } = nextBundle(before, next, [
    node('a', oldRoot, both),
    node('b', oldRoot, [oldRoot]),
  ]);
  t.deepEqual(waitingFor, ['b']);
  t.is(bundle.root, oldRoot);
  t.deepEqual(bundle.certificates.map(fingerprint), both);
});

test('then certificates of the new one are wanted, and both stay trusted', (t) => {
  const both = [oldRoot, newRoot];
  const during: Bundle = { root: oldRoot, certificates: [old, next] };
  const { bundle, waitingFor } = nextBundle(during, next, [
    node('a', newRoot, both),
    node('b', oldRoot, both),
  ]);
  t.deepEqual(waitingFor, []);
  t.is(bundle.root, newRoot);
  t.deepEqual(bundle.certificates.map(fingerprint), both);
});

test('when every node has one, the old CA is forgotten', (t) => {
  const both = [oldRoot, newRoot];
  const during: Bundle = { root: newRoot, certificates: [old, next] };
  const { bundle } = nextBundle(during, next, [node('a', newRoot, both), node('b', newRoot, both)]);
  t.deepEqual(bundle, { root: newRoot, certificates: [next] });
});

test('a third CA before the second is through: whoever is trusted stays so', (t) => {
  const both = [oldRoot, newRoot];
  const during: Bundle = { root: oldRoot, certificates: [old, next] };
  return authority().then((third) => {
    const { bundle, waitingFor } = nextBundle(during, third, [node('a', oldRoot, both)]);
    t.deepEqual(waitingFor, ['a']);
    t.deepEqual(bundle.certificates.map(fingerprint), [...both, fingerprint(third)]);
  });
});
