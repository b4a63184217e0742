/**
 * Keys and certificates (X.509, PEM), for agent, controller and the command line alike: CAs that can sign
 * (here), the files of a CA and of a node (`ca.ts`), the check of a node's identity (`identity.ts`), requests
 * (`request.ts`), and what all of that is made with (`crypto.ts`, `certificate.ts`). Only `ca.ts` and
 * `identity.ts` touch files; nothing here speaks to the API server or to charon. Of other rooms it imports
 * the type of an identity and the atomic write of files. No key is ever in a message.
 */

import { assertValidNow, decodeCertificates, isAuthority, isIssuedBy } from './certificate.ts';
import {
  exportPrivateKey,
  generateKeys,
  importPrivateKey,
  KEY_TYPES,
  type SigningKey,
  serialNumber,
  validFor,
  x509,
} from './crypto.ts';
import { assertNodeName, PkiError } from './error.ts';

/** id-kp-ipsecIKE (RFC 4945 5.1.3.12) */
const IPSEC_IKE = '1.3.6.1.5.5.7.3.17';

/** A CA that can sign. It may be the operator's, even an intermediate one, or made here. */
export interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly key: SigningKey;
  /** The self-signed certificate that the CA leads to. Nodes trust `anchorOf` the CA, not this one. */
  readonly root: x509.X509Certificate;
}

export interface PemPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Life {
  readonly days: number;
  readonly now: Date;
}

/**
 * Makes a self-signed CA with a P-256 key. A random part of its name tells it from the CA before it (RFC 5280
 * 4.2.1.1).
 */
export async function createAuthority({ days, now }: Life): Promise<PemPair> {
  const type = 'ecdsa-p256';
  const keys = await generateKeys(type);
  const serial = serialNumber();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial,
    name: `CN=trapline-ca-${serial.slice(0, 8)}`,
    ...validFor(days, now),
    signingAlgorithm: KEY_TYPES[type].signing,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `${await exportPrivateKey(keys.privateKey)}\n`,
  };
}

/**
 * Reads a CA. `certificate` begins with the CA's own; those that lead to a self-signed root follow it, or are
 * in `roots`. Throws PkiError that names the part, never the key, if something is malformed, the first
 * certificate is no CA's or not valid now, the key is another's, or no root is found.
 */
export async function parseAuthority(
  { certificate, key }: PemPair,
  roots: string,
  now: Date,
): Promise<Authority> {
  const [own, ...rest] = decodeCertificates('certificate', certificate);
  if (own === undefined) {
    throw new PkiError('certificate: none in it');
  }
  if (!isAuthority(own)) {
    throw new PkiError(`certificate: ${own.subject} is not a CA`);
  }
  assertValidNow(`certificate: ${own.subject}`, own, now);
  const signer = await importPrivateKey(key).catch((error: Error) => {
    throw new PkiError(`key: ${error.message}`);
  });
  if (!signer.publicKey.equals(Buffer.from(own.publicKey.rawData))) {
    throw new PkiError(`key: not that of ${own.subject}`);
  }
  const path = await pathToRoot(own, [...rest, ...decodeCertificates('ca.crt', roots)]);
  return { certificate: own, key: signer, root: path.at(-1) ?? own };
}

/** The certificates from this one to a self-signed one, both included. */
async function pathToRoot(
  from: x509.X509Certificate,
  others: readonly x509.X509Certificate[],
): Promise<x509.X509Certificate[]> {
  const path = [from];
  for (let last = from; !(await last.isSelfSigned()); ) {
    const issuers = await Promise.all(
      others.map(async (other) => (!path.includes(other) && (await isIssuedBy(last, other)) ? [other] : [])),
    );
    const [issuer] = issuers.flat();
    if (issuer === undefined) {
      throw new PkiError(`certificate: nothing signed by ${last.issuer} leads to a root`);
    }
    path.push(issuer);
    last = issuer;
  }
  return path;
}

export interface Certification extends Life {
  readonly node: string;
  readonly publicKey: x509.PublicKey;
}

/**
 * Makes the certificate of a node: subject and DNS name are `ipsec-<node>`; PEM. Nothing follows it: nodes
 * trust the very CA that signs (`anchorOf`), not what is above it. Throws PkiError.
 */
export async function certify(
  authority: Authority,
  { node, publicKey, days, now }: Certification,
): Promise<string> {
  assertNodeName(node);
  const { certificate: ca, key } = authority;
  const name = `ipsec-${node}`;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${name}`,
    issuer: ca.subjectName,
    ...validFor(days, now, ca.notAfter),
    signingAlgorithm: key.signing,
    publicKey,
    signingKey: key.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        IPSEC_IKE,
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}
