import type { Charon } from '../../ipsec/charon/charon.ts';
import { createLiveness } from '../../ipsec/charon/log/liveness.ts';
import type { ViciMessage } from '../../ipsec/vici/message.ts';
import { sleep } from '../../util/sleep.ts';
import { sasOf } from './sas-of.ts';

export interface DeadPeersOptions {
  /** The peer of this connection answers again, perhaps through another IKE_SA. */
  readonly onAnswer: (connection: string) => void;
  readonly onError: (error: unknown) => void;
  /** Aborted when the session ends. */
  readonly signal: AbortSignal;
}

/** How long to wait after a log line, so that one look covers many peers. */
const LOOK_MS = 1_000;

export interface DeadPeers {
  /** Takes a log event of charon. */
  note(message: ViciMessage): void;
  /** Whether a request to the peer of this connection is unanswered. */
  doubts(connection: string): boolean;
}

/** Watches for dead peers and gives up their IKE_SAs. */
export function createDeadPeers(
  charon: Pick<Charon, 'listSas' | 'forget'>,
  { onAnswer, onError, signal }: DeadPeersOptions,
): DeadPeers {
  const liveness = createLiveness();
  let looking = false;
  const look = async (): Promise<void> => {
    await sleep(LOOK_MS, signal);
    looking = false;
    if (signal.aborted) {
      return;
    }
    const doubtful = liveness.doubtful();
    const dead = liveness.judge(await sasOf(charon, doubtful), doubtful, performance.now());
    await charon.forget(dead.map(({ uniqueId }) => uniqueId));
    for (const { connection } of dead.filter(({ elsewhere }) => elsewhere)) {
      onAnswer(connection);
    }
  };
  return {
    note(message) {
      const peer = liveness.note(message, performance.now());
      if (peer?.answered === true) {
        onAnswer(peer.connection);
      } else if (peer !== undefined && !looking) {
        looking = true;
        look().catch(onError);
      }
    },
    doubts: (connection) => liveness.doubtful().has(connection),
  };
}
