import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { initCa, issueNode } from '../../src/pki/ca.ts';
import { x509 } from '../../src/pki/crypto.ts';
import { PkiError } from '../../src/pki/error.ts';
import { readIdentity } from '../../src/pki/identity.ts';
import { operatorsCa } from '../helpers/unit/operators-ca.ts';
import { type PkiFolder, pkiFolder } from '../helpers/unit/pki-folder.ts';

const NOW = new Date('2026-01-02T03:04:05Z');
const DAY_MS = 86_400_000;
const later = (days: number): Date => new Date(NOW.getTime() + days * DAY_MS);

test('an issued identity is taken, until it ends', async (t) => {
  const { node } = await pkiFolder(t, NOW);
  const { notAfter, caCertificates } = await readIdentity(node, 'worker-0', NOW);
  t.deepEqual(notAfter, later(5));
  t.is(caCertificates.length, 1);
});

test('what the certificate says', async (t) => {
  const { ca, node } = await pkiFolder(t, NOW);
  const certificate = new x509.X509Certificate(readFileSync(`${node}/node.crt`, 'utf8'));
  const authority = new x509.X509Certificate(readFileSync(`${ca}/ca.crt`, 'utf8'));
  t.is(certificate.subject, 'CN=ipsec-worker-0');
  t.is(certificate.issuer, authority.subject);
  t.true(certificate.notBefore < NOW, 'a node whose clock is behind takes it');
  t.regex(certificate.serialNumber, /^[4-7][0-9a-f]{31}$/);
  t.deepEqual(certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON(), [
    { type: 'dns', value: 'ipsec-worker-0' },
  ]);
  const usages = certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages;
  t.true(usages?.includes('1.3.6.1.5.5.7.3.17'));
  t.is(certificate.getExtension(x509.BasicConstraintsExtension)?.ca, false);
  const constraints = authority.getExtension(x509.BasicConstraintsExtension);
  t.deepEqual([constraints?.ca, constraints?.pathLength], [true, 0]);
});

test("a node trusts the CA that issues, not an operator's root above it", async (t) => {
  const { ca, node } = await pkiFolder(t, NOW);
  const { root, below } = await operatorsCa('ecdsa-p256', NOW);
  writeFileSync(`${ca}/ca.crt`, `${below.certificate}${root}`);
  writeFileSync(`${ca}/ca.key`, below.key);
  const life = { keyType: 'ecdsa-p256', days: 2, now: NOW } as const;
  await issueNode({ caFolder: ca, node: 'worker-0', outFolder: node, ...life });
  const trusted = new x509.X509Certificate(readFileSync(`${node}/ca.crt`, 'utf8'));
  t.is(trusted.subject, 'CN=operators-intermediate');
  t.true(await trusted.isSelfSigned());
  t.is((await readIdentity(node, 'worker-0', NOW)).trusted.length, 1);
});

test('keys are readable by their owner alone, and nothing else is left', async (t) => {
  const { ca, node } = await pkiFolder(t);
  t.is(statSync(`${ca}/ca.key`).mode & 0o777, 0o600);
  t.is(statSync(`${node}/node.key`).mode & 0o777, 0o600);
  t.deepEqual(readdirSync(ca).sort(), ['ca.crt', 'ca.key']);
  t.deepEqual(readdirSync(node).sort(), ['ca.crt', 'node.crt', 'node.key']);
});

test('a CA is never replaced', async (t) => {
  const { ca } = await pkiFolder(t);
  const before = readFileSync(`${ca}/ca.key`, 'utf8');
  await t.throwsAsync(initCa(ca, { days: 1, now: new Date() }), {
    instanceOf: PkiError,
    message: /ca\.crt is there already/,
  });
  rmSync(`${ca}/ca.crt`);
  await t.throwsAsync(initCa(ca, { days: 1, now: new Date() }), { message: /ca\.key is there already/ });
  t.is(readFileSync(`${ca}/ca.key`, 'utf8'), before);
});

test('issuing again replaces key and certificate', async (t) => {
  const { ca, node } = await pkiFolder(t, NOW);
  const before = readFileSync(`${node}/node.key`, 'utf8');
  await issueNode({
    caFolder: ca,
    node: 'worker-0',
    outFolder: node,
    keyType: 'ecdsa-p256',
    days: 9,
    now: NOW,
  });
  t.not(readFileSync(`${node}/node.key`, 'utf8'), before);
  t.deepEqual((await readIdentity(node, 'worker-0', NOW)).notAfter, later(9));
});

type Spoil = (folders: PkiFolder) => void | Promise<void>;

const refused = test.macro({
  exec: async (t, message: RegExp, spoil: Spoil, at: Date, node: string) => {
    const folders = await pkiFolder(t, NOW);
    const secret = readFileSync(`${folders.node}/node.key`, 'utf8').split('\n')[1] ?? '';
    await spoil(folders);
    const error = await t.throwsAsync(readIdentity(folders.node, node, at), {
      instanceOf: PkiError,
      message,
    });
    t.false(error?.message.includes(secret.slice(0, 20)), 'no key in a message');
  },
  title: (title) => `refused: ${title}`,
});

const nothing: Spoil = () => undefined;
const anotherPair: Spoil = ({ ca, node }) =>
  issueNode({
    caFolder: ca,
    node: 'worker-0',
    outFolder: `${node}-2`,
    keyType: 'ecdsa-p256',
    days: 5,
    now: NOW,
  });

for (const file of ['ca.crt', 'node.crt', 'node.key']) {
  test(
    `${file} missing`,
    refused,
    new RegExp(`ENOENT.*${file}`),
    ({ node }) => rmSync(`${node}/${file}`),
    NOW,
    'worker-0',
  );
}
test('expired', refused, /node\.crt: valid from .* not now/, nothing, later(5.1), 'worker-0');
test('not yet valid', refused, /node\.crt: valid from .* not now/, nothing, later(-1), 'worker-0');
test(
  'another node',
  refused,
  /node\.crt: subject is CN=ipsec-worker-0, not CN=ipsec-worker-1/,
  nothing,
  NOW,
  'worker-1',
);
test(
  'another key',
  refused,
  /node\.key: not the key of .*node\.crt/,
  async (folders) => {
    await anotherPair(folders);
    writeFileSync(`${folders.node}/node.key`, readFileSync(`${folders.node}-2/node.key`));
  },
  NOW,
  'worker-0',
);
test(
  'half a key',
  refused,
  /node\.key: not the key/,
  ({ node }) => {
    const path = `${node}/node.key`;
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, 100));
  },
  NOW,
  'worker-0',
);
test(
  'another CA',
  refused,
  /node\.crt: not signed by a CA of .*ca\.crt/,
  async ({ ca, node }) => {
    await initCa(`${ca}-2`, { days: 5, now: NOW });
    writeFileSync(`${node}/ca.crt`, readFileSync(`${ca}-2/ca.crt`));
  },
  NOW,
  'worker-0',
);
test(
  'not PEM',
  refused,
  /node\.crt: no(t| certificate)/,
  ({ node }) => writeFileSync(`${node}/node.crt`, 'nonsense'),
  NOW,
  'worker-0',
);

for (const name of ['', 'Worker', 'a..b', '-a', 'a_b', 'a,CN=b', 'a'.repeat(254)]) {
  test(`a node name refused: "${name.slice(0, 20)}"`, async (t) => {
    const { ca, node } = await pkiFolder(t);
    const request = {
      caFolder: ca,
      node: name,
      outFolder: `${node}-2`,
      keyType: 'ecdsa-p256',
      days: 1,
      now: new Date(),
    } as const;
    await t.throwsAsync(issueNode(request), { instanceOf: PkiError, message: /is not a node name/ });
    t.throws(() => statSync(`${node}-2`), { code: 'ENOENT' });
  });
}
