import type { ConnectionConfig } from '../plan/types.ts';
import type { ViciMessage } from '../vici/message.ts';
import type { Credentials } from './credentials.ts';
import type { Leftovers } from './leftovers.ts';
import type {
  CharonStats,
  CharonVersion,
  IkeSa,
  LoadedConnection,
  parseChildRekey,
  parseIkeRekey,
  TrapPolicy,
} from './replies.ts';

/** An IKE_SA came up or went down; for `child`, the one CHILD_SA that did is in `sa.children`. */
export interface Updown {
  readonly kind: 'ike' | 'child';
  readonly up: boolean;
  readonly sa: IkeSa;
}

export type IkeRekey = ReturnType<typeof parseIkeRekey>;

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
  /** From now on connections are loaded with its certificate; those that are loaded already keep theirs until `load`. */
  loadCredentials(credentials: Credentials): Promise<void>;
  /**
   * Forgets every CA but those of the identity, which is loaded anew. False, and nothing done, if charon holds keys of somebody else: it can
   * forget all or nothing.
   */
  forgetAuthorities(credentials: Credentials): Promise<boolean>;
  /** Forgets the keys of identities before the last one. */
  forgetFormerKeys(): Promise<void>;
  /** Loads connections that are new or changed; SAs stay. A child that left its connection loses its trap, its SA stays. */
  load(connections: readonly ConnectionConfig[]): Promise<readonly string[]>;
  /** Unloads what is not desired and ends its SAs and traps; installs traps that are missing. */
  prune(connections: readonly ConnectionConfig[]): Promise<Leftovers>;
  /** `load`, then `prune`. A second call with the same connections changes nothing. */
  reconcile(connections: readonly ConnectionConfig[]): Promise<Reconciled>;
  /** Waits until the CHILD_SA is up. @throws ViciError `refused` */
  initiate(connection: string, child: string, timeoutMs: number): Promise<void>;
  /** Waits until an IKE_SA is up, without a CHILD_SA (RFC 6023). @throws ViciError `refused` */
  initiateIke(connection: string, timeoutMs: number): Promise<void>;
  /** The next `load` replaces these connections: what runs with them becomes stale. */
  replace(connections: readonly string[]): void;
  /** IKE_SAs that run with a connection as it was before it was replaced; while `renewing`, `prune` leaves them alone. */
  stale(): ReadonlySet<number>;
  renewing(on: boolean): void;
  /** Of one connection, or all, others' too. */
  listSas(connection?: string): Promise<IkeSa[]>;
  listConnections(): Promise<LoadedConnection[]>;
  listTraps(): Promise<TrapPolicy[]>;
  version(): Promise<CharonVersion>;
  /** Names of the key exchanges that it has an implementation of: `CURVE_25519`. */
  keyExchanges(): Promise<string[]>;
  stats(): Promise<CharonStats>;
  /** Subscribes to SAs coming up and going down; resolves to the subscription's end. */
  onUpdown(listener: (event: Updown) => void): Promise<() => Promise<void>>;
  /** Subscribes to IKE_SAs being rekeyed; resolves to the subscription's end. */
  onIkeRekey(listener: (event: IkeRekey) => void): Promise<() => Promise<void>>;
  /** Subscribes to CHILD_SAs that charon has rekeyed itself; resolves to the subscription's end. */
  onChildRekey(listener: (old: ReturnType<typeof parseChildRekey>) => void): Promise<() => Promise<void>>;
  /** Subscribes to what charon logs. */
  onLog(listener: (message: ViciMessage) => void): Promise<() => Promise<void>>;
  /** Begins to rekey one IKE_SA, which then has another unique id. */
  rekeyIkeSa(uniqueId: number): Promise<void>;
  /** Ends CHILD_SAs, and tells their peers. */
  endChildren(uniqueIds: readonly number[]): Promise<void>;
  /** Ends IKE_SAs, and tells their peers. */
  endIke(uniqueIds: readonly number[]): Promise<void>;
  /** Ends IKE_SAs without a word to the peer, which knows nothing of them. */
  forget(uniqueIds: readonly number[]): Promise<void>;
}
