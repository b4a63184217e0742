import type { Charon } from '../../ipsec/charon/charon.ts';
import type { IkeSa } from '../../ipsec/charon/replies.ts';

/** charon goes through all IKE_SAs to list those of one connection. */
const FEW = 8;

/** IKE_SAs of these connections, or of all where they are many. @throws ViciError */
export async function sasOf(
  charon: Pick<Charon, 'listSas'>,
  connections: ReadonlySet<string>,
): Promise<IkeSa[]> {
  const lists =
    connections.size > FEW ? [charon.listSas()] : [...connections].map((name) => charon.listSas(name));
  return (await Promise.all(lists)).flat();
}
