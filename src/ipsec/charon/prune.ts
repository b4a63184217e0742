import type { ConnectionConfig } from '../plan/types.ts';
import { ViciError } from '../vici/error.ts';
import type { ViciMessage } from '../vici/message.ts';
import type { ViciSession } from '../vici/session.ts';
import { findLeftovers, type Leftovers } from './leftovers.ts';
import type { Memory } from './load.ts';
import { connectionNames, listSas, listTraps } from './query.ts';

/**
 * charon answers as soon as it has begun the deletion, and retransmits it by itself: nobody waits for a peer
 * that may be away.
 */
const AT_ONCE = { timeout: '-1' };

/**
 * Unloads connections of ours that are not desired, then ends what still runs for them: IKE_SAs, CHILD_SAs,
 * traps. Traps are compared on every call: somebody may have installed or uninstalled one, and charon
 * installs none if the node has no address at the time a connection is loaded.
 *
 * @throws ViciError if charon is away, or refuses a trap
 */
export async function prune(
  desired: readonly ConnectionConfig[],
  session: ViciSession,
  memory: Memory,
): Promise<Leftovers> {
  const connections = await connectionNames(session);
  const stale = memory.renewing ? new Set<number>() : memory.stale;
  const { connections: unwanted } = findLeftovers(desired, {
    connections,
    sas: [],
    traps: [],
    stale,
  });
  for (const name of unwanted) {
    memory.loaded.delete(name);
    await tolerant(session, 'unload-conn', { name });
  }
  const [sas, traps] = [await listSas(session), await listTraps(session)];
  const leftovers = findLeftovers(desired, { connections, sas, traps, stale });
  for (const id of leftovers.ikeSas) {
    await tolerant(session, 'terminate', { 'ike-id': String(id), ...AT_ONCE });
    memory.stale.delete(id);
  }
  for (const id of leftovers.childSas) {
    await tolerant(session, 'terminate', { 'child-id': String(id), ...AT_ONCE });
  }
  for (const { ike, child } of leftovers.traps) {
    await tolerant(session, 'uninstall', { ike, child });
  }
  for (const { ike, child } of leftovers.missingTraps) {
    await session.request('install', { ike, child });
  }
  return leftovers;
}

/** Sends a command and ignores that charon refuses it: what is gone already need not be removed. */
export async function tolerant(session: ViciSession, command: string, message: ViciMessage): Promise<void> {
  try {
    await session.request(command, message);
  } catch (error) {
    if (!(error instanceof ViciError && error.reason === 'refused')) {
      throw error;
    }
  }
}
