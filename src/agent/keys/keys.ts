/**
 * The room `agent/keys` provides the node's private key and certificate: from a folder that somebody else
 * fills (`files`), or with a key that the node makes and a certificate that the controller signs
 * (`requested`, `enrolment`). It uses src/pki, src/kube and the run directory. It knows nothing of charon:
 * start.ts hands each new identity to `agent/charon`.
 */

import type { NodeIdentity } from '../../pki/identity.ts';

/** A source of the node's key and certificate. */
export interface Keys {
  /** The key and certificate as they are now. Throws PkiError that says what is missing. */
  identity(): Promise<NodeIdentity>;
  /**
   * Keeps key and certificate fresh until the signal aborts. `onChange` gets each identity that differs from
   * the one before. Never rejects.
   */
  run(onChange: (identity: NodeIdentity) => void, signal: AbortSignal): Promise<void>;
}

/** Whether two identities make no difference to charon and to the cluster. */
export function sameIdentity(a: NodeIdentity | undefined, b: NodeIdentity): boolean {
  return (
    a !== undefined &&
    a.certificate === b.certificate &&
    a.chain.join() === b.chain.join() &&
    a.trusted.join() === b.trusted.join()
  );
}
