/**
 * The room `ipsec/charon` drives strongSwan's charon through one VICI session: it loads connections (`load`,
 * `render`), removes what is too much (`prune`, `leftovers`), parses replies, understands log lines (`log`)
 * and judges SAs (`sas`). What connections there are comes from `ipsec/plan`; when to act is decided in
 * src/agent/charon. It imports `ipsec/plan`, `ipsec/vici` and the protocol numbers of `ipsec/xfrm`.
 */

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

/** An IKE_SA or a CHILD_SA came up or went down. For kind `child`, `sa.children` has that CHILD_SA alone. */
export interface Updown {
  readonly kind: 'ike' | 'child';
  readonly up: boolean;
  readonly sa: IkeSa;
}

export type IkeRekey = ReturnType<typeof parseIkeRekey>;

/** What one call of `reconcile` did. */
export interface Reconciled extends Leftovers {
  /** Names of connections that were new or had changed. */
  readonly loaded: readonly string[];
}

/**
 * charon behind one VICI session. All methods throw ViciError. `load`, `prune` and `reconcile` change only
 * connections named `k8s-node-*`; do not run two of them at once.
 */
export interface Charon {
  /**
   * Loads the credentials. Connections that are loaded from now on use their certificate; a connection that
   * is loaded already keeps its certificate until the next `load`.
   */
  loadCredentials(credentials: Credentials): Promise<void>;
  /**
   * Forgets every CA, then loads these credentials again. charon can only forget all credentials at once: if
   * it has a key that this session did not load, nothing is done and the result is false.
   */
  forgetAuthorities(credentials: Credentials): Promise<boolean>;
  /** Forgets all private keys that this session loaded but the last one. */
  forgetFormerKeys(): Promise<void>;
  /**
   * Loads connections that are new or changed, and resolves to their names. SAs stay. A child that left its
   * connection loses its trap, its SA stays.
   */
  load(connections: readonly ConnectionConfig[]): Promise<readonly string[]>;
  /**
   * Unloads connections that are not among these, ends SAs and traps that are not theirs, and installs
   * missing traps.
   */
  prune(connections: readonly ConnectionConfig[]): Promise<Leftovers>;
  /** `load`, then `prune`. A second call with the same connections changes nothing. */
  reconcile(connections: readonly ConnectionConfig[]): Promise<Reconciled>;
  /** Waits until the CHILD_SA is up. @throws ViciError `refused` */
  initiate(connection: string, child: string, timeoutMs: number): Promise<void>;
  /** Waits until an IKE_SA is up, without a CHILD_SA (RFC 6023). @throws ViciError `refused` */
  initiateIke(connection: string, timeoutMs: number): Promise<void>;
  /** Makes the next `load` replace these connections; the IKE_SAs that run with them then become stale. */
  replace(connections: readonly string[]): void;
  /** Unique ids of stale IKE_SAs: they run with a connection as it was before it was replaced. */
  stale(): ReadonlySet<number>;
  /** While this is on, `prune` does not end stale IKE_SAs. */
  renewing(on: boolean): void;
  /** IKE_SAs of one connection, or of all connections, others' too. */
  listSas(connection?: string): Promise<IkeSa[]>;
  listConnections(): Promise<LoadedConnection[]>;
  listTraps(): Promise<TrapPolicy[]>;
  version(): Promise<CharonVersion>;
  /** Names of the key exchanges that charon has an implementation of: `CURVE_25519`. */
  keyExchanges(): Promise<string[]>;
  stats(): Promise<CharonStats>;
  /** Subscribes to SAs coming up and going down; resolves to the subscription's end. */
  onUpdown(listener: (event: Updown) => void): Promise<() => Promise<void>>;
  /** Subscribes to IKE_SAs being rekeyed; resolves to the subscription's end. */
  onIkeRekey(listener: (event: IkeRekey) => void): Promise<() => Promise<void>>;
  /**
   * Subscribes to CHILD_SAs that charon has rekeyed itself; the listener gets the former ones. Resolves to
   * the end of the subscription.
   */
  onChildRekey(listener: (old: ReturnType<typeof parseChildRekey>) => void): Promise<() => Promise<void>>;
  /** Subscribes to what charon logs; resolves to the end of the subscription. */
  onLog(listener: (message: ViciMessage) => void): Promise<() => Promise<void>>;
  /** Begins to rekey one IKE_SA, which then gets another unique id. */
  rekeyIkeSa(uniqueId: number): Promise<void>;
  /** Ends CHILD_SAs, and tells their peers. */
  endChildren(uniqueIds: readonly number[]): Promise<void>;
  /** Ends IKE_SAs, and tells their peers. */
  endIke(uniqueIds: readonly number[]): Promise<void>;
  /** Ends IKE_SAs without telling their peers, which have lost them. */
  forget(uniqueIds: readonly number[]): Promise<void>;
}
