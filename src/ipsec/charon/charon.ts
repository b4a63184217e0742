import type { ConnectionConfig } from '../types.ts';
import type { ViciMessage } from '../vici/message.ts';
import type { ViciSession } from '../vici/session.ts';
import { type Identity, loadIdentity } from './identity.ts';
import type { Leftovers } from './leftovers.ts';
import { emptyMemory, load } from './load.ts';
import type { Profile } from './profile.ts';
import { prune, tolerant } from './prune.ts';
import { listConnections, listSas, listTraps } from './query.ts';
import {
  type CharonStats,
  type CharonVersion,
  type IkeSa,
  type LoadedConnection,
  parseStats,
  parseUpdown,
  parseVersion,
  type TrapPolicy,
} from './replies.ts';

/** An IKE_SA came up or went down; for `child`, the one CHILD_SA that did is in `sa.children`. */
export interface Updown {
  readonly kind: 'ike' | 'child';
  readonly up: boolean;
  readonly sa: IkeSa;
}

/** What `reconcile` did. */
export interface Reconciled extends Leftovers {
  /** Names of connections that were new or had changed. */
  readonly loaded: readonly string[];
}

/**
 * charon behind one VICI session. Everything throws ViciError. `load`, `prune` and `reconcile` leave alone what is not named
 * `k8s-node-*`; do not run two of them at once.
 */
export interface Charon {
  loadIdentity(identity: Identity): Promise<void>;
  /** Loads connections that are new or changed; SAs stay. A child that left its connection loses its trap, its SA stays. */
  load(connections: readonly ConnectionConfig[]): Promise<readonly string[]>;
  /** Unloads what is not desired and ends its SAs and traps; installs traps that are missing. */
  prune(connections: readonly ConnectionConfig[]): Promise<Leftovers>;
  /** `load`, then `prune`. A second call with the same connections changes nothing. */
  reconcile(connections: readonly ConnectionConfig[]): Promise<Reconciled>;
  /** Waits until the CHILD_SA is up. @throws ViciError `refused` */
  initiate(connection: string, child: string, timeoutMs: number): Promise<void>;
  listSas(): Promise<IkeSa[]>;
  listConnections(): Promise<LoadedConnection[]>;
  listTraps(): Promise<TrapPolicy[]>;
  version(): Promise<CharonVersion>;
  stats(): Promise<CharonStats>;
  /** Subscribes to SAs coming up and going down; resolves to the subscription's end. */
  onUpdown(listener: (event: Updown) => void): Promise<() => Promise<void>>;
  /** Subscribes to what charon logs. */
  onLog(listener: (message: ViciMessage) => void): Promise<() => Promise<void>>;
  /** Rekeys the IKE_SAs of a connection. */
  rekeyIke(connection: string): Promise<void>;
  /** Ends CHILD_SAs, and tells their peers. */
  endChildren(uniqueIds: readonly number[]): Promise<void>;
  /** Ends IKE_SAs without a word to the peer, which knows nothing of them. */
  forget(uniqueIds: readonly number[]): Promise<void>;
}

export function createCharon(session: ViciSession, profile: Profile = 'modern'): Charon {
  const memory = emptyMemory();
  let key: string | undefined;
  const loadAll = (connections: readonly ConnectionConfig[]): Promise<string[]> =>
    load(
      connections.filter((config) => config.children.length > 0),
      { session, memory, profile },
    );
  return {
    loadIdentity: async (identity) => {
      key = await loadIdentity(session, identity, key);
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
    listSas: () => listSas(session),
    listConnections: () => listConnections(session),
    listTraps: () => listTraps(session),
    version: async () => parseVersion(await session.request('version')),
    stats: async () => parseStats(await session.request('stats')),
    onUpdown: (listener) => onUpdown(session, listener),
    onLog: (listener) => session.on('log', listener),
    rekeyIke: (ike) => tolerant(session, 'rekey', { ike }),
    endChildren: async (uniqueIds) => {
      for (const id of uniqueIds) {
        await tolerant(session, 'terminate', { 'child-id': String(id), timeout: '-1' });
      }
    },
    forget: async (uniqueIds) => {
      for (const id of uniqueIds) {
        await tolerant(session, 'terminate', { 'ike-id': String(id), force: 'yes', timeout: '-1' });
      }
    },
  };
}

/** charon answers at its own time limit; ours only guards against a charon that hangs. */
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
