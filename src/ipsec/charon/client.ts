import type { ConnectionConfig } from '../plan/types.ts';
import type { ViciSession } from '../vici/session.ts';
import type { Charon, Updown } from './charon.ts';
import { loadCredentials } from './credentials.ts';
import { emptyMemory, load } from './load.ts';
import type { Profile } from './profile.ts';
import { prune, tolerant } from './prune.ts';
import { listConnections, listSas, listTraps } from './query.ts';
import {
  parseChildRekey,
  parseIkeRekey,
  parseKeyExchanges,
  parseKeyIds,
  parseStats,
  parseUpdown,
  parseVersion,
} from './replies.ts';

/** Drives charon through one session, which the caller ends. */
export function createCharon(session: ViciSession, profile: Profile = 'modern'): Charon {
  const memory = emptyMemory();
  const keys: string[] = [];
  let certificate: string | undefined;
  const loadAll = (connections: readonly ConnectionConfig[]): Promise<string[]> =>
    load(
      connections.filter((config) => config.children.length > 0),
      { session, memory, terms: { profile, ...(certificate === undefined ? {} : { certificate }) } },
    );
  return {
    loadCredentials: async (credentials) => {
      const key = await loadCredentials(session, credentials);
      certificate = credentials.certificate;
      if (keys.at(-1) !== key) {
        keys.push(key);
      }
    },
    forgetAuthorities: async (credentials) => {
      const present = parseKeyIds(await session.request('get-keys'));
      if (present.some((id) => !keys.includes(id))) {
        return false;
      }
      await session.request('clear-creds');
      await loadCredentials(session, credentials);
      return true;
    },
    forgetFormerKeys: async () => {
      const last = keys.at(-1);
      for (const id of keys.splice(0, keys.length - 1).filter((former) => former !== last)) {
        await tolerant(session, 'unload-key', { id });
      }
    },
    load: loadAll,
    prune: (connections) => prune(connections, session, memory),
    reconcile: async (connections) => {
      const loaded = await loadAll(connections);
      return { loaded, ...(await prune(connections, session, memory)) };
    },
    initiate: async (ike, child, timeoutMs) => {
      await session.request(
        'initiate',
        { ike, child, timeout: String(timeoutMs) },
        { timeoutMs: timeoutMs + INITIATE_GRACE_MS },
      );
    },
    initiateIke: async (ike, timeoutMs) => {
      await session.request(
        'initiate',
        { ike, timeout: String(timeoutMs) },
        { timeoutMs: timeoutMs + INITIATE_GRACE_MS },
      );
    },
    replace: (names) => {
      for (const name of names) {
        memory.generations.set(name, memory.generations.get(name) === 1 ? 0 : 1);
      }
    },
    stale: () => memory.stale,
    renewing: (on) => {
      memory.renewing = on;
    },
    listSas: (connection) => listSas(session, connection),
    listConnections: () => listConnections(session),
    listTraps: () => listTraps(session),
    keyExchanges: async () => parseKeyExchanges(await session.request('get-algorithms')),
    version: async () => parseVersion(await session.request('version')),
    stats: async () => parseStats(await session.request('stats')),
    onUpdown: (listener) => onUpdown(session, listener),
    onIkeRekey: (listener) => session.on('ike-rekey', (message) => listener(parseIkeRekey(message))),
    onChildRekey: (listener) => session.on('child-rekey', (message) => listener(parseChildRekey(message))),
    onLog: (listener) => session.on('log', listener),
    rekeyIkeSa: (id) => tolerant(session, 'rekey', { 'ike-id': String(id) }),
    endChildren: async (uniqueIds) => {
      for (const id of uniqueIds) {
        await tolerant(session, 'terminate', { 'child-id': String(id), timeout: '-1' });
      }
    },
    endIke: async (uniqueIds) => {
      for (const id of uniqueIds) {
        await tolerant(session, 'terminate', { 'ike-id': String(id), timeout: '-1' });
        memory.stale.delete(id);
      }
    },
    forget: async (uniqueIds) => {
      for (const id of uniqueIds) {
        await tolerant(session, 'terminate', { 'ike-id': String(id), force: 'yes', timeout: '-1' });
      }
    },
  };
}

/**
 * charon answers at the time limit that it is given. Ours is longer, and only guards against a charon that
 * hangs.
 */
const INITIATE_GRACE_MS = 5_000;

async function onUpdown(
  session: ViciSession,
  listener: (event: Updown) => void,
): Promise<() => Promise<void>> {
  const ends = [
    await session.on('ike-updown', (message) =>
      listener({ kind: 'ike', ...parseUpdown('ike-updown', message) }),
    ),
    await session.on('child-updown', (message) =>
      listener({ kind: 'child', ...parseUpdown('child-updown', message) }),
    ),
  ];
  return async () => {
    for (const end of ends) {
      await end();
    }
  };
}
