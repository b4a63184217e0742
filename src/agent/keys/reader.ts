import { join } from 'node:path';
import { CA_CERTIFICATE, NODE_CERTIFICATE, NODE_KEY } from '../../pki/ca.ts';
import { type NodeIdentity, readIdentity } from '../../pki/identity.ts';
import { stampOf } from '../../util/stamp.ts';

/**
 * As `readIdentity`, which costs some signatures, but reads again only if a file has changed or the
 * certificate has ended.
 */
export function identityReader(folder: string, node: string, now: () => number): () => Promise<NodeIdentity> {
  let last: { readonly stamp: string; readonly identity: NodeIdentity } | undefined;
  return async () => {
    const stamp = [CA_CERTIFICATE, NODE_CERTIFICATE, NODE_KEY]
      .map((name) => stampOf(join(folder, name)))
      .join();
    if (last?.stamp === stamp && last.identity.notAfter.getTime() >= now()) {
      return last.identity;
    }
    last = { stamp, identity: await readIdentity(folder, node, new Date(now())) };
    return last.identity;
  };
}
