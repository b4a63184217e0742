import { createHash } from 'node:crypto';
import type { Authority } from './authority.ts';
import { fingerprint } from './certificate.ts';
import { x509 } from './crypto.ts';

/**
 * The certificate that nodes trust for a CA: a self-signed one that no other CA stands below. A root that
 * allows no CA below itself is its own. For any other CA, an intermediate one above all, a certificate of the
 * same name and key is made. charon takes nothing but self-signed certificates for trust anchors, and whoever
 * trusted an operator's root would trust every CA below it.
 *
 * `known` are certificates among which that of an earlier call may be. It is taken again, since a signature
 * differs each time that it is made.
 */
export async function anchorOf(
  { certificate, key }: Authority,
  known: readonly x509.X509Certificate[],
): Promise<x509.X509Certificate> {
  const limit = certificate.getExtension(x509.BasicConstraintsExtension)?.pathLength;
  if (limit === 0 && (await certificate.isSelfSigned())) {
    return certificate;
  }
  const serial = serialFor(certificate);
  for (const one of known) {
    if (one.serialNumber === serial && sameKey(one, certificate) && (await one.isSelfSigned())) {
      return one;
    }
  }
  return await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: certificate.subjectName,
    issuer: certificate.subjectName,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    signingAlgorithm: key.signing,
    publicKey: certificate.publicKey,
    signingKey: key.key,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(certificate.publicKey),
    ],
  });
}

/** Tells from the anchor which certificate of a CA it stands for: 126 bits of that one's SHA-256. */
function serialFor(certificate: x509.X509Certificate): string {
  const bytes = createHash('sha256').update(fingerprint(certificate)).digest().subarray(0, 16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function sameKey(a: x509.X509Certificate, b: x509.X509Certificate): boolean {
  return Buffer.from(a.publicKey.rawData).equals(Buffer.from(b.publicKey.rawData));
}
