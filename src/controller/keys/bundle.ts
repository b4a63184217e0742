import { fingerprint } from '../../pki/certificate.ts';
import type { x509 } from '../../pki/crypto.ts';

/** What a node says of its certificate: SHA-256 of roots, hex. */
export interface NodeTrust {
  readonly name: string;
  /** That its certificate leads to. */
  readonly root: string;
  readonly trusted: readonly string[];
}

/** Whom nodes are to trust, and the root that their certificates should lead to. */
export interface Bundle {
  readonly root: string;
  readonly certificates: readonly x509.X509Certificate[];
}

/**
 * The roll from one CA to the next: nodes trust both, then they get certificates of the new one, then they
 * forget the old one. Each step waits for every node that has a certificate. `signer`: the root of the CA
 * that signs from now on.
 */
export function nextBundle(
  before: Bundle | undefined,
  signer: x509.X509Certificate,
  nodes: readonly NodeTrust[],
): { readonly bundle: Bundle; readonly waitingFor: readonly string[] } {
  const root = fingerprint(signer);
  const distrusting = nodes.filter(({ trusted }) => !trusted.includes(root)).map(({ name }) => name);
  const known = before?.certificates ?? [];
  if (known.length === 0 || nodes.every((node) => node.root === root)) {
    return { bundle: { root, certificates: [signer] }, waitingFor: [] };
  }
  const certificates = known.some((one) => fingerprint(one) === root) ? known : [...known, signer];
  return distrusting.length === 0
    ? { bundle: { root, certificates }, waitingFor: [] }
    : { bundle: { root: before?.root ?? root, certificates }, waitingFor: distrusting };
}
