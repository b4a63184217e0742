import type { Charon } from '../../ipsec/charon/charon.ts';
import type { IkeSa } from '../../ipsec/charon/replies.ts';
import type { ConnectionConfig } from '../../ipsec/plan/types.ts';
import type { Pace } from './pace.ts';

type Driver = Pick<Charon, 'initiate' | 'initiateIke' | 'rekeyIkeSa'>;

export interface RenewalEffects {
  /** Opens charon in a session of its own: a command that waits for a peer delays all commands after it. */
  open(): Promise<{ readonly charon: Driver; close(): void }>;
  sleep(ms: number): Promise<void>;
  readonly pace: Pace;
  /** These SAs are about to end: no policy may stay pinned to them. */
  unpin(sas: readonly IkeSa[]): void;
  onError(error: unknown): void;
}

const AT_ONCE = 16;
const INITIATE_MS = 15_000;
/** What replaces the stale SAs with one peer. */
interface Renewal {
  readonly connection: string;
  /** Names of the children to bring up anew, without those that the peer has brought up meanwhile. */
  readonly children: readonly string[];
  /** Unique id of the IKE_SA in which they come up; undefined: a new one. */
  readonly ikeSa: number | undefined;
  readonly old: readonly IkeSa[];
}

/**
 * Replaces stale IKE_SAs, each by one that comes up first. An IKE_SA that cannot be replaced stays. Resolves
 * to the number of connections for which that failed.
 */
export async function renewStale(
  charon: Pick<Charon, 'listSas' | 'stale' | 'endIke'>,
  connections: readonly ConnectionConfig[],
  effects: RenewalEffects,
): Promise<number> {
  const stale = charon.stale();
  const sas = await charon.listSas();
  const renewals = connections.flatMap((config) => renewalOf(config, sas, stale) ?? []);
  return await renewAll(charon, renewals, effects);
}

function renewalOf(
  { name, children }: ConnectionConfig,
  sas: readonly IkeSa[],
  stale: ReadonlySet<number>,
): Renewal | undefined {
  const own = sas.filter(({ connection }) => connection === name);
  const old = own.filter(({ uniqueId }) => stale.has(uniqueId));
  if (old.length === 0) {
    return undefined;
  }
  // The peer may have renewed its IKE_SA in the meantime.
  const fresh = own.find(({ state, uniqueId }) => state === 'ESTABLISHED' && !stale.has(uniqueId));
  const used = new Set(old.flatMap((sa) => sa.children.map((child) => child.name)));
  const there = new Set(fresh?.children.map((child) => child.name));
  return {
    connection: name,
    children: children.map((child) => child.name).filter((child) => used.has(child) && !there.has(child)),
    ikeSa: fresh?.uniqueId,
    old,
  };
}

/** How long a CHILD_SA is used: until it reaches the first of the two limits. */
export interface Lifetime {
  readonly seconds: number;
  /** Packets in either direction, whichever has more. */
  readonly packets: number;
}

/**
 * The longest lifetime that may be configured. Agents must replace CHILD_SAs before charon rekeys them
 * itself, and AES-GCM should not use one key for ever (SP 800-38D 8.3).
 */
export const LONGEST_LIFETIME: Lifetime = { seconds: 5_400, packets: 2 ** 31 };

/**
 * Names of connections with CHILD_SAs whose lifetime is over, if this node is the initiator of their IKE_SA;
 * the peer does the same for those that it initiated. The whole connection is replaced, since charon refuses
 * a second CHILD_SA of a child within an IKE_SA.
 */
export function dueConnections(
  sas: readonly IkeSa[],
  stale: ReadonlySet<number>,
  { seconds, packets }: Lifetime,
): string[] {
  const due = sas.filter(
    ({ uniqueId, initiator, state, children }) =>
      initiator &&
      !stale.has(uniqueId) &&
      state === 'ESTABLISHED' &&
      children.some(
        (child) =>
          child.state === 'INSTALLED' &&
          ((child.installedFor ?? 0) >= seconds || Math.max(child.packetsIn, child.packetsOut) >= packets),
      ),
  );
  return [...new Set(due.map(({ connection }) => connection))];
}

/**
 * Replaces SAs, new before old: the announcement, the children, then the end of what they replace. A
 * responder has a CHILD_SA before its initiator has (RFC 7296 2.3), and the kernel sends through the newest.
 * For that moment the responder's agent must pin its policies to the SA before; charon's own rekeying gives
 * it no chance to. Resolves to how many renewals failed.
 */
async function renewAll(
  charon: Pick<Charon, 'endIke'>,
  renewals: Renewal[],
  effects: RenewalEffects,
): Promise<number> {
  let failed = 0;
  const worker = async (): Promise<void> => {
    const session = await effects.open();
    try {
      for (let next = renewals.shift(); next !== undefined; next = renewals.shift()) {
        try {
          await bringUp(session.charon, next, effects);
          effects.unpin(next.old);
          await effects.sleep(effects.pace.unpinMs);
          await charon.endIke(next.old.map(({ uniqueId }) => uniqueId));
        } catch (error) {
          failed += 1;
          effects.onError(error);
        }
      }
    } finally {
      session.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, renewals.length) }, worker));
  return failed;
}

async function bringUp(
  charon: Driver,
  { connection, children, ikeSa }: Renewal,
  { sleep, pace }: RenewalEffects,
): Promise<void> {
  if (ikeSa !== undefined && children.length === 0) {
    return;
  }
  // The peer's agent takes for the announcement of children a new IKE_SA without any (RFC 6023), or an IKE_SA
  // that is rekeyed.
  await (ikeSa === undefined ? charon.initiateIke(connection, INITIATE_MS) : charon.rekeyIkeSa(ikeSa));
  await sleep(pace.pinMs);
  for (const child of children) {
    await charon.initiate(connection, child, INITIATE_MS);
  }
  await sleep(pace.inFlightMs);
}
