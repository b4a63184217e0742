import { fingerprint } from '../../pki/certificate.ts';
import type { x509 } from '../../pki/crypto.ts';

/** What a node says of its certificate. Roots are SHA-256, hex. */
export interface NodeTrust {
  readonly name: string;
  /** The root to which its certificate leads. */
  readonly root: string;
  readonly trusted: readonly string[];
}

/** The CAs that nodes are to trust, and the root to which their certificates should lead (SHA-256, hex). */
export interface Bundle {
  readonly root: string;
  readonly certificates: readonly x509.X509Certificate[];
}

/**
 * The steps from one CA to the next: nodes trust both, then they get certificates of the new one, then they
 * forget the old one. Each step waits for every node that has a certificate. `signer`: the root of the CA
 * that signs from now on. `waitingFor`: nodes that do not trust it yet, while that holds up the next step.
 */
export function nextBundle(
  before: Bundle | undefined,
  signer: x509.X509Certificate,
  nodes: readonly NodeTrust[],
): { readonly bundle: Bundle; readonly waitingFor: readonly string[] } {
  const root = fingerprint(signer);
  const distrusting = nodes.filter(({ trusted }) => !trusted.includes(root)).map(({ name }) => name);
  const trusted = before?.certificates ?? [];
  if (trusted.length === 0 || nodes.every((node) => node.root === root)) {
    return { bundle: { root, certificates: [signer] }, waitingFor: [] };
  }
  const certificates = trusted.some((one) => fingerprint(one) === root) ? trusted : [...trusted, signer];
  return distrusting.length === 0
    ? { bundle: { root, certificates }, waitingFor: [] }
    : { bundle: { root: before?.root ?? root, certificates }, waitingFor: distrusting };
}
