import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../cache/write.ts';
import {
  exportPrivateKey,
  generateKeys,
  importPrivateKey,
  SIGNING_ALGORITHM,
  serialNumber,
  validFor,
  x509,
} from './crypto.ts';
import { assertNodeName, PkiError } from './error.ts';

/** Files of a CA folder, and of a node's folder. */
export const CA_CERTIFICATE = 'ca.crt';
export const CA_KEY = 'ca.key';
export const NODE_CERTIFICATE = 'node.crt';
export const NODE_KEY = 'node.key';

/** id-kp-ipsecIKE (RFC 4945 5.1.3.12) */
const IPSEC_IKE = '1.3.6.1.5.5.7.3.17';

export interface IssueOptions {
  readonly days: number;
  readonly now: Date;
}

/** Makes a local CA in a folder: `ca.crt` and `ca.key` (0600). Never replaces one. Throws PkiError. */
export async function initCa(folder: string, { days, now }: IssueOptions): Promise<void> {
  for (const file of [CA_CERTIFICATE, CA_KEY]) {
    if (existsSync(`${folder}/${file}`)) {
      throw new PkiError(`${folder}/${file} is there already; a new CA would lock out every node`);
    }
  }
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=trapline-ca',
    ...validFor(days, now),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  writeFileAtomic(`${folder}/${CA_KEY}`, `${await exportPrivateKey(keys.privateKey)}\n`);
  writeFileAtomic(`${folder}/${CA_CERTIFICATE}`, `${certificate.toString('pem')}\n`);
}

export interface IssueRequest extends IssueOptions {
  readonly caFolder: string;
  readonly node: string;
  readonly outFolder: string;
}

/**
 * Makes a key (0600) and a certificate for a node, subject `CN=ipsec-<node>`: `node.key`, `node.crt` and the CA's `ca.crt`. Replaces former
 * ones: key first, so a crash between the two is a mismatch that the agent refuses, never a certificate in use. Throws PkiError.
 */
export async function issueNode({ caFolder, node, outFolder, days, now }: IssueRequest): Promise<void> {
  assertNodeName(node);
  const caPem = await readPem(`${caFolder}/${CA_CERTIFICATE}`);
  const ca = new x509.X509Certificate(caPem);
  const caKey = await importPrivateKey(await readPem(`${caFolder}/${CA_KEY}`));
  const keys = await generateKeys();
  const name = `ipsec-${node}`;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${name}`,
    issuer: ca.subject,
    ...validFor(days, now),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: caKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        IPSEC_IKE,
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
    ],
  });
  writeFileAtomic(`${outFolder}/${NODE_KEY}`, `${await exportPrivateKey(keys.privateKey)}\n`);
  writeFileAtomic(`${outFolder}/${NODE_CERTIFICATE}`, `${certificate.toString('pem')}\n`);
  writeFileAtomic(`${outFolder}/${CA_CERTIFICATE}`, `${ca.toString('pem')}\n`);
}

/** Throws PkiError that names the file. */
export async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new PkiError((error as Error).message);
  }
}
