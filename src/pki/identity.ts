import { webcrypto } from 'node:crypto';
import type { Identity } from '../ipsec/charon/identity.ts';
import { CA_CERTIFICATE, NODE_CERTIFICATE, NODE_KEY, readPem } from './ca.ts';
import { importPrivateKey, SIGNING_ALGORITHM, x509 } from './crypto.ts';
import { PkiError } from './error.ts';

/** A node's key and certificate, checked, and until when they serve. */
export interface NodeIdentity extends Identity {
  readonly notAfter: Date;
}

/**
 * Reads `ca.crt` (one or more certificates), `node.crt` and `node.key` of a node. Throws PkiError if a file is missing or malformed, the
 * key is not the certificate's, no CA of `ca.crt` signed it, it is not valid now, or it names another node.
 */
export async function readIdentity(folder: string, node: string, now: Date): Promise<NodeIdentity> {
  const caPath = `${folder}/${CA_CERTIFICATE}`;
  const certificatePath = `${folder}/${NODE_CERTIFICATE}`;
  const keyPath = `${folder}/${NODE_KEY}`;
  const authorities = decode(caPath, await readPem(caPath));
  const [certificate] = decode(certificatePath, await readPem(certificatePath));
  const privateKey = await readPem(keyPath);
  if (certificate === undefined || authorities.length === 0) {
    throw new PkiError(`${certificate === undefined ? certificatePath : caPath}: no certificate in it`);
  }
  const wanted = `CN=ipsec-${node}`;
  if (certificate.subject !== wanted) {
    throw new PkiError(`${certificatePath}: subject is ${certificate.subject}, not ${wanted}`);
  }
  if (now < certificate.notBefore || now > certificate.notAfter) {
    const [from, to] = [certificate.notBefore.toISOString(), certificate.notAfter.toISOString()];
    throw new PkiError(`${certificatePath}: valid from ${from} to ${to}, not now`);
  }
  const signatures = await Promise.all(
    authorities.map((ca) => certificate.verify({ publicKey: ca.publicKey, signatureOnly: true })),
  );
  if (!signatures.includes(true)) {
    throw new PkiError(`${certificatePath}: not signed by a CA of ${caPath}`);
  }
  await assertPair(certificate, privateKey, keyPath);
  return {
    caCertificates: authorities.map((ca) => ca.toString('pem')),
    certificate: certificate.toString('pem'),
    privateKey,
    notAfter: certificate.notAfter,
  };
}

function decode(path: string, pem: string): x509.X509Certificate[] {
  try {
    return x509.PemConverter.decode(pem).map((der) => new x509.X509Certificate(der));
  } catch (error) {
    throw new PkiError(`${path}: not a certificate in PEM: ${(error as Error).message}`);
  }
}

async function assertPair(certificate: x509.X509Certificate, pem: string, path: string): Promise<void> {
  let matches = false;
  try {
    const key = await importPrivateKey(pem);
    const data = new TextEncoder().encode('trapline');
    const signature = await webcrypto.subtle.sign(SIGNING_ALGORITHM, key, data);
    const publicKey = await certificate.publicKey.export();
    matches = await webcrypto.subtle.verify(SIGNING_ALGORITHM, publicKey, signature, data);
  } catch {
    // What is wrong with a key is not for a log.
  }
  if (!matches) {
    throw new PkiError(`${path}: not the key of ${NODE_CERTIFICATE}`);
  }
}
