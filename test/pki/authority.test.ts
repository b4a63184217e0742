import test from 'ava';
import { anchorOf } from '../../src/pki/anchor.ts';
import { certify, createAuthority, type PemPair, parseAuthority } from '../../src/pki/authority.ts';
import { decodeCertificates, fingerprint } from '../../src/pki/certificate.ts';
import { exportPrivateKey, generateKeys, KEY_TYPES, type KeyType, x509 } from '../../src/pki/crypto.ts';
import { PkiError } from '../../src/pki/error.ts';
import { checkIdentity } from '../../src/pki/identity.ts';
import { operatorsCa } from '../helpers/unit/operators-ca.ts';

const NOW = new Date('2026-01-02T03:04:05Z');
const LIFE = { days: 10, now: NOW };
const NAMES = { authorities: 'ca.crt', certificate: 'node.crt', privateKey: 'node.key' };

async function nodeOf(pair: PemPair, roots: string) {
  const authority = await parseAuthority(pair, roots, NOW);
  const keys = await generateKeys('ecdsa-p256');
  const publicKey = await x509.PublicKey.create(keys.publicKey);
  const certificate = await certify(authority, { node: 'a', publicKey, days: 30, now: NOW });
  return { authority, certificate, privateKey: await exportPrivateKey(keys.privateKey) };
}

for (const type of Object.keys(KEY_TYPES) as KeyType[]) {
  test(`an operator's intermediate CA with a key of type ${type}`, async (t) => {
    const { root, below } = await operatorsCa(type, NOW);
    const { certificate, privateKey, authority } = await nodeOf(below, root);
    t.is(decodeCertificates('node.crt', certificate).length, 1, 'nodes trust the very CA that signs');
    const anchor = await anchorOf(authority, []);
    const files = { authorities: anchor.toString('pem'), certificate, privateKey, names: NAMES };
    const identity = await checkIdentity(files, 'a', NOW);
    t.is(identity.root, fingerprint(anchor));
    t.true(identity.notAfter <= authority.certificate.notAfter, 'no node outlives its CA');
    await t.throwsAsync(checkIdentity({ ...files, authorities: root }, 'a', NOW), {
      instanceOf: PkiError,
      message: /not signed by a CA of ca\.crt/,
    });
    // What somebody else has put into the folder may lead to a root, and then all of the way is needed.
    const led = { ...files, certificate: `${certificate}${below.certificate}` };
    t.is((await checkIdentity({ ...led, authorities: root }, 'a', NOW)).chain.length, 1);
    t.deepEqual((await checkIdentity(led, 'a', NOW)).chain, [], 'charon would take the way to the root');
  });
}

test('a CA that cannot sign is refused, and says why', async (t) => {
  const [root, other] = [await createAuthority(LIFE), await createAuthority(LIFE)];
  const { below } = await operatorsCa('ecdsa-p256', NOW);
  const { certificate, privateKey } = await nodeOf(root, '');
  const refused = async (pair: PemPair, message: RegExp, now = NOW): Promise<void> => {
    await t.throwsAsync(parseAuthority(pair, '', now), { instanceOf: PkiError, message });
  };
  await refused({ ...root, key: other.key }, /key: not that of CN=trapline-ca/);
  await refused({ ...root, key: 'none' }, /key: not an unencrypted private key in PEM/);
  await refused({ ...root, certificate: 'none' }, /certificate: none in it/);
  await refused({ certificate, key: privateKey }, /CN=ipsec-a is not a CA/);
  await refused(below, /nothing signed by CN=operators-root leads to a root/);
  await refused(
    root,
    /certificate: CN=trapline-ca-\w+: valid from .*, not now/,
    new Date(NOW.getTime() + 11 * 86_400_000),
  );
});

test('the anchor of a CA is made once, has no CA below it, and ends with the CA', async (t) => {
  const { root, rootKey, below } = await operatorsCa('ecdsa-p256', NOW);
  const [own, above] = [
    await parseAuthority(below, root, NOW),
    await parseAuthority({ certificate: root, key: rootKey }, '', NOW),
  ];
  for (const authority of [own, above]) {
    const anchor = await anchorOf(authority, []);
    t.true(await anchor.isSelfSigned());
    t.is(anchor.subject, authority.certificate.subject);
    t.deepEqual(anchor.notAfter, authority.certificate.notAfter);
    t.is(anchor.getExtension(x509.BasicConstraintsExtension)?.pathLength, 0);
    t.not(fingerprint(await anchorOf(authority, [])), fingerprint(anchor));
    t.is(fingerprint(await anchorOf(authority, [above.certificate, anchor])), fingerprint(anchor));
  }
  const made = await parseAuthority(await createAuthority(LIFE), '', NOW);
  t.is(await anchorOf(made, []), made.certificate, 'one that is made here is its own');
});

test('of two authorities with one name and key the later one counts', async (t) => {
  const { root, rootKey } = await operatorsCa('ecdsa-p256', NOW);
  const { authority, certificate, privateKey } = await nodeOf({ certificate: root, key: rootKey }, '');
  const anchor = await anchorOf(authority, []);
  const authorities = `${root}${anchor.toString('pem')}`;
  const identity = await checkIdentity({ authorities, certificate, privateKey, names: NAMES }, 'a', NOW);
  t.is(identity.root, fingerprint(anchor));
});
