import { webcrypto } from 'node:crypto';
import test from 'ava';
import { judge, type SigningRequest } from '../../../src/controller/keys/judge.ts';
import { generateKeys, KEY_TYPES, type KeyType, x509 } from '../../../src/pki/crypto.ts';
import { USAGES } from '../../../src/pki/request.ts';

const AGENT = 'system:serviceaccount:trapline-system:trapline-agent';
const law = { agent: AGENT, nodes: new Set(['a', 'b']), days: 30 };
const NODE_NAME = 'authentication.kubernetes.io/node-name';

async function pem(type: KeyType, subject = 'CN=ipsec-a', san = 'ipsec-a'): Promise<string> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys: await generateKeys(type),
    signingAlgorithm: KEY_TYPES[type].signing,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: san }])],
  });
  return request.toString('pem');
}

const spec = (text: string, change: Partial<SigningRequest['spec']> = {}): Pick<SigningRequest, 'spec'> => ({
  spec: {
    signerName: 'trapline.io/ipsec-node',
    request: Buffer.from(text).toString('base64'),
    usages: [...USAGES],
    username: AGENT,
    extra: { [NODE_NAME]: ['a'] },
    ...change,
  },
});

const good = await pem('ecdsa-p256');
const other = await crypto.subtle.exportKey('spki', (await generateKeys('ecdsa-p256')).publicKey);

for (const type of Object.keys(KEY_TYPES) as KeyType[]) {
  test(`signed: a key of type ${type}`, async (t) => {
    const verdict = await judge(spec(await pem(type)), law);
    t.like(verdict, { kind: 'sign', node: 'a', days: 30 });
  });
}

test('a shorter life is granted', async (t) => {
  const verdict = await judge(spec(await pem('ecdsa-p256'), { expirationSeconds: 86_400 }), law);
  t.like(verdict, { kind: 'sign', days: 1 });
});

/** The request with somebody else's public key in it: only who has the private key can ask. */
function forged(): string {
  const der = Buffer.from(new x509.Pkcs10CertificateRequest(good).rawData);
  const own = Buffer.from(new x509.Pkcs10CertificateRequest(good).publicKey.rawData);
  Buffer.from(other).copy(der, der.indexOf(own));
  return x509.PemConverter.encode(der, 'CERTIFICATE REQUEST');
}

async function odd(algorithm: webcrypto.EcKeyGenParams): Promise<string> {
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=ipsec-a',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-512' },
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'ipsec-a' }])],
  });
  return request.toString('pem');
}

const denied: readonly (readonly [string, () => Promise<Pick<SigningRequest, 'spec'>>, string])[] = [
  ['no PEM', async () => spec('hello'), 'Malformed'],
  ['somebody else’s public key', async () => spec(forged()), 'BadSignature'],
  ['another user', async () => spec(good, { username: 'system:node:a' }), 'WrongRequester'],
  ['a token without a node', async () => spec(good, { extra: {} }), 'TokenOfNoNode'],
  ['a token with two nodes', async () => spec(good, { extra: { [NODE_NAME]: ['a', 'b'] } }), 'TokenOfNoNode'],
  ['a node that is gone', async () => spec(good, { extra: { [NODE_NAME]: ['c'] } }), 'UnknownNode'],
  ['the token of another node', async () => spec(good, { extra: { [NODE_NAME]: ['b'] } }), 'WrongNode'],
  ['no subject of ours', async () => spec(await pem('ecdsa-p256', 'CN=admin')), 'WrongSubject'],
  [
    'two names in the subject',
    async () => spec(await pem('ecdsa-p256', 'CN=ipsec-a, CN=ipsec-b')),
    'WrongSubject',
  ],
  ['the name of another node', async () => spec(await pem('ecdsa-p256', undefined, 'ipsec-b')), 'WrongNames'],
  ['a curve of others', async () => spec(await odd({ name: 'ECDSA', namedCurve: 'P-521' })), 'WeakKey'],
  ['a usage too many', async () => spec(good, { usages: [...USAGES, 'cert sign'] }), 'WrongUsages'],
  ['a usage too few', async () => spec(good, { usages: USAGES.slice(1) }), 'WrongUsages'],
  ['a life too long', async () => spec(good, { expirationSeconds: 30 * 86_400 + 1 }), 'LifeTooLong'],
];

for (const [what, request, reason] of denied) {
  test(`denied: ${what}`, async (t) => {
    t.like(await judge(await request(), law), { kind: 'deny', reason });
  });
}
