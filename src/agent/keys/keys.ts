import type { NodeIdentity } from '../../pki/identity.ts';

/** The node's key and certificate, wherever they come from. */
export interface Keys {
  /** Throws PkiError that says what is missing. */
  identity(): Promise<NodeIdentity>;
  /** Keeps them fresh until the signal aborts; `onChange` gets each identity that is not the one before. Never rejects. */
  run(onChange: (identity: NodeIdentity) => void, signal: AbortSignal): Promise<void>;
}

/** Whether two identities are one to charon and to the cluster. */
export function sameIdentity(a: NodeIdentity | undefined, b: NodeIdentity): boolean {
  return (
    a !== undefined &&
    a.certificate === b.certificate &&
    a.chain.join() === b.chain.join() &&
    a.trusted.join() === b.trusted.join()
  );
}
