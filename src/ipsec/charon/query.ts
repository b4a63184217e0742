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

/** Every IKE_SA with its CHILD_SAs, other connections' too. */
export async function listSas(session: ViciSession, connection?: string): Promise<IkeSa[]> {
  const filter = connection === undefined ? {} : { ike: connection };
  return parseIkeSas(await session.stream('list-sas', 'list-sa', filter));
}

export async function listConnections(session: ViciSession): Promise<LoadedConnection[]> {
  return parseConnections(await session.stream('list-conns', 'list-conn'));
}

/** Names of the connections loaded over VICI. */
export async function connectionNames(session: ViciSession): Promise<string[]> {
  return parseConnectionNames(await session.request('get-conns'));
}

/** The trap entries that charon answers acquires for, with or without a policy in the kernel. */
export async function listTraps(session: ViciSession): Promise<TrapPolicy[]> {
  return parsePolicies(await session.stream('list-policies', 'list-policy', { trap: 'yes' }));
}
