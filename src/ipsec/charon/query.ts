import type { ViciSession } from '../vici/session.ts';
import {
  type IkeSa,
  type LoadedConnection,
  parseConnectionNames,
  parseConnections,
  parseIkeSas,
  parsePolicies,
  type TrapPolicy,
} from './replies.ts';

/** Every IKE_SA with its CHILD_SAs, those of others' connections too; or those of one connection. */
export async function listSas(session: ViciSession, connection?: string): Promise<IkeSa[]> {
  const filter = connection === undefined ? {} : { ike: connection };
  return parseIkeSas(await session.stream('list-sas', 'list-sa', filter));
}

export async function listConnections(session: ViciSession): Promise<LoadedConnection[]> {
  return parseConnections(await session.stream('list-conns', 'list-conn'));
}

/** Names of the connections that were loaded over VICI. */
export async function connectionNames(session: ViciSession): Promise<string[]> {
  return parseConnectionNames(await session.request('get-conns'));
}

/**
 * The traps of charon, which answer the kernel's acquires whether charon put a policy into the kernel or not.
 */
export async function listTraps(session: ViciSession): Promise<TrapPolicy[]> {
  return parsePolicies(await session.stream('list-policies', 'list-policy', { trap: 'yes' }));
}
