import type { Charon } from '../../ipsec/charon/charon.ts';
import { findGhosts } from '../../ipsec/charon/ghosts.ts';
import { ignoredIn, stateOfTrap } from '../../ipsec/charon/ignored.ts';
import type { KernelSa } from '../../ipsec/charon/orphans.ts';
import type { IkeSa } from '../../ipsec/charon/replies.ts';
import type { ConnectionConfig } from '../../ipsec/types.ts';
import type { ViciMessage } from '../../ipsec/vici/message.ts';
import type { ChildRef } from '../first-use.ts';
import { sleep } from '../node.ts';
import { sasOf } from './sas-of.ts';

export interface RepairEffects {
  readonly charon: Pick<Charon, 'listSas' | 'endChildren'>;
  readonly listKernel: () => Promise<readonly KernelSa[]>;
  /** Never rejects; nobody waits for it. */
  readonly bringUp: (children: readonly ChildRef[]) => Promise<void>;
}

/** Ends those CHILD_SAs that charon has and the kernel has lost, and has charon negotiate them anew. @throws ViciError, XfrmError */
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

/** What charon tells of many traps at once is looked at together. */
const LOOK_MS = 200;
/** Of the time, the share that looking takes at most. */
const SHARE = 0.05;

/** Answers the acquires that charon ignores. */
export interface TrapWatch {
  /** Takes what charon logs. */
  note(message: ViciMessage): void;
}

export function createTrapWatch(options: TrapWatchOptions): TrapWatch {
  const { charon, bringUp, planned, doubts, onError, signal } = options;
  const reqids = new Set<number>();
  const names = new Set<string>();
  const take = (): (ChildRef & { readonly reqid: number })[] => {
    const asked = planned().flatMap(({ name, children }) =>
      children
        .filter((child) => reqids.has(child.reqid) || names.has(`${name}/${child.name}`))
        .map((child) => ({ connection: name, child: child.name, reqid: child.reqid })),
    );
    reqids.clear();
    names.clear();
    return asked.filter(({ connection }) => !doubts(connection));
  };
  const look = async (): Promise<void> => {
    const asked = take();
    const sas = await sasOf(charon, new Set(asked.map(({ connection }) => connection)));
    const traps = asked.map((one) => {
      const own = sas.filter(({ connection }) => connection === one.connection);
      return { ...one, state: stateOfTrap(own, one.reqid) };
    });
    const stuck = traps.filter(({ state }) => state === 'stuck');
    if (stuck.length > 0) {
      void bringUp(stuck);
    }
    if (traps.some(({ state }) => state === 'up')) {
      await replaceGhosts(options, sas);
    }
  };
  let looking = false;
  const lookWhileAsked = async (): Promise<void> => {
    while (reqids.size + names.size > 0) {
      await sleep(LOOK_MS, signal);
      if (signal.aborted) {
        return;
      }
      const began = performance.now();
      await look();
      await sleep((performance.now() - began) / SHARE, signal);
    }
  };
  return {
    note(message) {
      const ignored = ignoredIn(message);
      if (ignored === undefined) {
        return;
      }
      if ('reqid' in ignored) {
        reqids.add(ignored.reqid);
      } else {
        names.add(`${ignored.connection}/${ignored.child}`);
      }
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
