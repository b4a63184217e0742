import type { Charon } from '../../ipsec/charon/charon.ts';
import { ignoredIn, stateOfTrap } from '../../ipsec/charon/log/ignored.ts';
import type { IkeSa } from '../../ipsec/charon/replies.ts';
import { findGhosts } from '../../ipsec/charon/sas/ghosts.ts';
import type { KernelSa } from '../../ipsec/charon/sas/orphans.ts';
import type { ConnectionConfig } from '../../ipsec/plan/types.ts';
import type { ViciMessage } from '../../ipsec/vici/message.ts';
import { sleep } from '../../util/sleep.ts';
import type { ChildRef } from '../enabling/first-use.ts';
import { sasOf } from './sas-of.ts';

export interface RepairEffects {
  readonly charon: Pick<Charon, 'listSas' | 'endChildren'>;
  readonly listKernel: () => Promise<readonly KernelSa[]>;
  /** Brings up children in the background. Never rejects. */
  readonly bringUp: (children: readonly ChildRef[]) => Promise<void>;
}

/**
 * Ends ghosts, CHILD_SAs that charon has and the kernel has lost, and makes charon negotiate them anew.
 * @throws ViciError, XfrmError
 */
export async function replaceGhosts(
  { charon, listKernel, bringUp }: RepairEffects,
  sas: readonly IkeSa[],
): Promise<void> {
  const ghosts = findGhosts(sas, await listKernel());
  await charon.endChildren(ghosts.map(({ uniqueId }) => uniqueId));
  if (ghosts.length > 0) {
    void bringUp(ghosts);
  }
}

export interface TrapWatchOptions extends RepairEffects {
  readonly planned: () => readonly ConnectionConfig[];
  /** Whether a request to the peer of this connection is unanswered. */
  readonly doubts: (connection: string) => boolean;
  readonly onError: (error: unknown) => void;
  /** Aborted when the session ends. */
  readonly signal: AbortSignal;
}

/** How long to wait after a log line, so that one look covers many traps. */
const LOOK_MS = 200;
/**
 * A trap is looked at again, in this interval and for this time: a CHILD_SA may be about to go, or an attempt
 * about to fail, and the kernel asks only every 4 s.
 */
const AGAIN_MS = 1_000;
const AGAIN_FOR_MS = 3_000;
/** The share of the time that looking may take at most. */
const SHARE = 0.2;

/** Answers the acquires that charon ignores (docs/design.md, Orphans, ghosts and traps). */
export interface TrapWatch {
  /** Takes a log event of charon. */
  note(message: ViciMessage): void;
}

export function createTrapWatch(options: TrapWatchOptions): TrapWatch {
  const { charon, bringUp, planned, doubts, onError, signal } = options;
  /** Until when each trap is looked at, by its reqid or by the names of its connection and child. */
  const asked = new Map<number | string, number>();
  const take = () => {
    const traps = planned().flatMap(({ name: connection, children }) =>
      children.flatMap(({ name: child, reqid }) => {
        const key = asked.has(reqid) ? reqid : `${connection}/${child}`;
        const until = asked.get(key);
        return until === undefined || doubts(connection) ? [] : [{ key, until, connection, child, reqid }];
      }),
    );
    asked.clear();
    return traps;
  };
  const look = async (): Promise<void> => {
    const taken = take();
    const sas = await sasOf(charon, new Set(taken.map(({ connection }) => connection)));
    const traps = taken.map((trap) => {
      const own = sas.filter(({ connection }) => connection === trap.connection);
      return { ...trap, state: stateOfTrap(own, trap.reqid) };
    });
    const stuck = traps.filter(({ state }) => state === 'stuck');
    if (stuck.length > 0) {
      void bringUp(stuck);
    }
    for (const { key, until, state } of traps) {
      if (state !== 'stuck' && until > performance.now() && !asked.has(key)) {
        asked.set(key, until);
      }
    }
    if (traps.some(({ state }) => state === 'up')) {
      await replaceGhosts(options, sas);
    }
  };
  let looking = false;
  const lookWhileAsked = async (): Promise<void> => {
    let pauseMs = LOOK_MS;
    while (asked.size > 0) {
      await sleep(pauseMs, signal);
      if (signal.aborted) {
        return;
      }
      const began = performance.now();
      await look();
      pauseMs = Math.max(AGAIN_MS, (performance.now() - began) / SHARE);
    }
  };
  return {
    note(message) {
      const ignored = ignoredIn(message);
      if (ignored === undefined) {
        return;
      }
      const key = 'reqid' in ignored ? ignored.reqid : `${ignored.connection}/${ignored.child}`;
      asked.set(key, performance.now() + AGAIN_FOR_MS);
      if (!looking) {
        looking = true;
        lookWhileAsked()
          .catch(onError)
          .finally(() => {
            looking = false;
          });
      }
    },
  };
}
