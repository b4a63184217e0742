import type { Credentials } from '../ipsec/charon/credentials.ts';
import { CA_CERTIFICATE, NODE_CERTIFICATE, NODE_KEY, readPem } from './ca.ts';
import { assertValidNow, decodeCertificates, fingerprint, isIssuedBy } from './certificate.ts';
import { importPrivateKey, type x509 } from './crypto.ts';
import { PkiError } from './error.ts';

/** A node's key and certificate that have been checked, and what the cluster is told of them. */
export interface NodeIdentity extends Credentials {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SHA-256 of the root that the certificate leads to, hex. */
  readonly root: string;
  /** SHA-256 of every root that this node trusts, hex, sorted. */
  readonly trusted: readonly string[];
}

/** PEM texts, and where they come from. */
export interface IdentityFiles {
  readonly authorities: string;
  readonly certificate: string;
  readonly privateKey: string;
  /** What messages call them. */
  readonly names: { readonly authorities: string; readonly certificate: string; readonly privateKey: string };
}

/**
 * Reads the files of a node's folder: `ca.crt` (one or more certificates), `node.crt` (the node's, then
 * intermediate ones) and `node.key`. Throws as `checkIdentity`.
 */
export async function readIdentity(folder: string, node: string, now: Date): Promise<NodeIdentity> {
  const names = {
    authorities: `${folder}/${CA_CERTIFICATE}`,
    certificate: `${folder}/${NODE_CERTIFICATE}`,
    privateKey: `${folder}/${NODE_KEY}`,
  };
  return await checkIdentity(
    {
      authorities: await readPem(names.authorities),
      certificate: await readPem(names.certificate),
      privateKey: await readPem(names.privateKey),
      names,
    },
    node,
    now,
  );
}

/**
 * Throws PkiError if a text is malformed, the key is not that of the certificate, no trusted root stands
 * behind the certificate, it is not valid now, or it is another node's.
 */
export async function checkIdentity(
  { authorities, certificate: pem, privateKey, names }: IdentityFiles,
  node: string,
  now: Date,
): Promise<NodeIdentity> {
  const roots = decodeCertificates(names.authorities, authorities);
  const [certificate, ...chain] = decodeCertificates(names.certificate, pem);
  if (certificate === undefined || roots.length === 0) {
    throw new PkiError(
      `${certificate === undefined ? names.certificate : names.authorities}: no certificate in it`,
    );
  }
  const wanted = `CN=ipsec-${node}`;
  if (certificate.subject !== wanted) {
    throw new PkiError(`${names.certificate}: subject is ${certificate.subject}, not ${wanted}`);
  }
  assertValidNow(names.certificate, certificate, now);
  const root = await rootOf(certificate, chain, roots);
  if (root === undefined) {
    throw new PkiError(`${names.certificate}: not signed by a CA of ${names.authorities}`);
  }
  await assertPair(certificate, privateKey, names);
  return {
    caCertificates: roots.map((ca) => ca.toString('pem')),
    certificate: certificate.toString('pem'),
    chain: chain.map((one) => one.toString('pem')),
    privateKey,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    root: fingerprint(root),
    trusted: roots.map(fingerprint).sort(),
  };
}

async function rootOf(
  certificate: x509.X509Certificate,
  chain: readonly x509.X509Certificate[],
  roots: readonly x509.X509Certificate[],
): Promise<x509.X509Certificate | undefined> {
  for (const root of roots) {
    if (await isIssuedBy(certificate, root)) {
      return root;
    }
  }
  const [next, ...rest] = chain;
  return next !== undefined && (await isIssuedBy(certificate, next))
    ? await rootOf(next, rest, roots)
    : undefined;
}

async function assertPair(
  certificate: x509.X509Certificate,
  pem: string,
  names: IdentityFiles['names'],
): Promise<void> {
  // The error is dropped: what is wrong with a key must not get into a log.
  const key = await importPrivateKey(pem).catch(() => undefined);
  if (key?.publicKey.equals(Buffer.from(certificate.publicKey.rawData)) !== true) {
    throw new PkiError(`${names.privateKey}: not the key of ${names.certificate}`);
  }
}
