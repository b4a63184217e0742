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
  // The newest first: of two with one name and key, the later one is wanted, and the other is to go.
  const path = await pathOf(certificate, chain, roots.toReversed());
  if (path === undefined) {
    throw new PkiError(`${names.certificate}: not signed by a CA of ${names.authorities}`);
  }
  await assertPair(certificate, privateKey, names);
  return {
    caCertificates: roots.map((ca) => ca.toString('pem')),
    certificate: certificate.toString('pem'),
    chain: path.chain.map((one) => one.toString('pem')),
    privateKey,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    root: fingerprint(path.root),
    trusted: roots.map(fingerprint).sort(),
  };
}

interface Path {
  readonly root: x509.X509Certificate;
  readonly chain: readonly x509.X509Certificate[];
}

/**
 * The root behind a certificate, and what of the chain is needed to get there. What is not needed must not
 * come to charon: it would take an intermediate certificate before the root that has the same name and key,
 * and look for what is above it.
 */
async function pathOf(
  certificate: x509.X509Certificate,
  [next, ...rest]: readonly x509.X509Certificate[],
  roots: readonly x509.X509Certificate[],
): Promise<Path | undefined> {
  for (const root of roots) {
    if (await isIssuedBy(certificate, root)) {
      return { root, chain: [] };
    }
  }
  if (next === undefined || !(await isIssuedBy(certificate, next))) {
    return undefined;
  }
  const path = await pathOf(next, rest, roots);
  return path === undefined ? undefined : { root: path.root, chain: [next, ...path.chain] };
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
