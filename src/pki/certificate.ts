import { createHash } from 'node:crypto';
import { x509 } from './crypto.ts';
import { PkiError } from './error.ts';

/** SHA-256 of a certificate, hex. */
export function fingerprint(certificate: x509.X509Certificate): string {
  return createHash('sha256').update(Buffer.from(certificate.rawData)).digest('hex');
}

/** All certificates of a PEM text. Throws PkiError that begins with `where`. */
export function decodeCertificates(where: string, pem: string): x509.X509Certificate[] {
  try {
    return x509.PemConverter.decode(pem).map((der) => new x509.X509Certificate(der));
  } catch (error) {
    throw new PkiError(`${where}: not a certificate in PEM: ${(error as Error).message}`);
  }
}

/** Throws PkiError that begins with `where`. */
export function assertValidNow(
  where: string,
  { notBefore, notAfter }: x509.X509Certificate,
  now: Date,
): void {
  if (now < notBefore || now > notAfter) {
    throw new PkiError(
      `${where}: valid from ${notBefore.toISOString()} to ${notAfter.toISOString()}, not now`,
    );
  }
}

/**
 * Whether `issuer` signed `certificate` (RFC 5280 6.1, as far as two certificates go): names, signature, and
 * that the issuer is a CA.
 */
export async function isIssuedBy(
  certificate: x509.X509Certificate,
  issuer: x509.X509Certificate,
): Promise<boolean> {
  return (
    certificate.issuer === issuer.subject &&
    isAuthority(issuer) &&
    (await certificate.verify({ publicKey: issuer.publicKey, signatureOnly: true }))
  );
}

export function isAuthority(certificate: x509.X509Certificate): boolean {
  return certificate.getExtension(x509.BasicConstraintsExtension)?.ca === true;
}
