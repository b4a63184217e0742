/** A key or certificate is not as it has to be. The message names file, field and value, never a key. */
export class PkiError extends Error {
  override readonly name = 'PkiError';
}

/** Accepts node names as Kubernetes has them (RFC 1123 subdomain). Throws PkiError. */
export function assertNodeName(node: string): void {
  if (node.length > 253 || !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(node)) {
    throw new PkiError(`node: ${JSON.stringify(node)} is not a node name`);
  }
}
