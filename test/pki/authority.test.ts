import test from 'ava';
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
    t.is(decodeCertificates('node.crt', certificate).length, 2, 'what leads to the root goes along');
    const files = { authorities: root, certificate, privateKey, names: NAMES };
    const identity = await checkIdentity(files, 'a', NOW);
    t.is(identity.chain.length, 1);
    t.is(identity.root, fingerprint(authority.root));
    t.true(identity.notAfter <= authority.certificate.notAfter, 'no node outlives its CA');
    const [alone = ''] = certificate.split(/(?<=-----END CERTIFICATE-----\n)/);
    await t.throwsAsync(checkIdentity({ ...files, certificate: alone }, 'a', NOW), {
      instanceOf: PkiError,
      message: /not signed by a CA of ca\.crt/,
    });
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
