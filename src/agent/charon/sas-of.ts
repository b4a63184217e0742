import type { Charon } from '../../ipsec/charon/charon.ts';
import type { IkeSa } from '../../ipsec/charon/replies.ts';

/**
 * From more connections than this on, all IKE_SAs are listed at once: charon goes through all of them even to
 * list those of one connection.
 */
const FEW = 8;

/** IKE_SAs of these connections; if the connections are many, those of all connections. @throws ViciError */
export async function sasOf(
  charon: Pick<Charon, 'listSas'>,
  connections: ReadonlySet<string>,
): Promise<IkeSa[]> {
  const lists =
    connections.size > FEW ? [charon.listSas()] : [...connections].map((name) => charon.listSas(name));
  return (await Promise.all(lists)).flat();
}
