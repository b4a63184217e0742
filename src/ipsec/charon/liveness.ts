import * as z from 'zod';
import { CONNECTION_PREFIX } from '../connections.ts';
import type { ViciMessage } from '../vici/message.ts';
import type { IkeSa } from './replies.ts';

/** How long requests go unanswered before anything is concluded; milliseconds. A responder keeps what is half open for 15 s. */
export const UNANSWERED_MS = 9_000;
/** How long an IKE_SA is kept that nothing at all comes through: longer than spanning tree holds back a port. */
export const SILENT_MS = 60_000;
/** The same, if its peer has brought up another one since: a packet that was on its way has arrived. */
export const SUCCEEDED_MS = 4_000;

const REPEATED = /^retransmit \d+ of request/;
const ANSWERED = /^parsed \w+ response/;
const ALIVE: ReadonlySet<string> = new Set(['ESTABLISHED', 'REKEYING']);

/** Connections that are not ours are none of ours to give up. */
const logSchema = z.object({
  'ikesa-uniqueid': z.coerce.number(),
  'ikesa-name': z.string().startsWith(CONNECTION_PREFIX),
});

interface Unanswered {
  readonly connection: string;
  readonly since: number;
  /** What had come in through its CHILD_SAs at the last look, and the first look that saw this. */
  heard?: { readonly packets: number; readonly at: number };
}

export interface Dead {
  readonly uniqueId: number;
  readonly connection: string;
  /** The peer has another IKE_SA with us that is younger. */
  readonly succeeded: boolean;
}

/**
 * IKE_SAs whose peer does not answer. charon asks for a sign of life whatever comes by ESP: the last use of a policy is what it would go by
 * (before Linux 6.2), and the policies are not its own. ESP is a sign of life like any other (RFC 7296 2.4), so charon is told to be patient, and
 * whom to give up is decided here.
 */
export interface Liveness {
  /** Takes a line that charon logs; milliseconds of any clock. The connection of an IKE_SA whose peer did not answer, or does again. */
  note(
    message: ViciMessage,
    now: number,
  ): { readonly connection: string; readonly answered: boolean } | undefined;
  /** Connections to look at. */
  doubtful(): ReadonlySet<string>;
  /** Takes all IKE_SAs of these connections. Those to give up; they are not told again. */
  judge(sas: readonly IkeSa[], connections: ReadonlySet<string>, now: number): Dead[];
}

export function createLiveness(): Liveness {
  const unanswered = new Map<number, Unanswered>();

  return {
    note(message, now) {
      const line = typeof message.msg === 'string' ? message.msg : '';
      const repeated = REPEATED.test(line);
      if (!repeated && (unanswered.size === 0 || !ANSWERED.test(line))) {
        return undefined;
      }
      const { success, data } = logSchema.safeParse(message);
      if (!success) {
        return undefined;
      }
      const { 'ikesa-uniqueid': id, 'ikesa-name': connection } = data;
      if (!repeated) {
        return unanswered.delete(id) ? { connection, answered: true } : undefined;
      }
      if (!unanswered.has(id)) {
        unanswered.set(id, { connection, since: now });
      }
      return { connection, answered: false };
    },
    doubtful: () => new Set([...unanswered.values()].map(({ connection }) => connection)),
    judge(sas, connections, now) {
      const asked = [...unanswered].filter(([, { connection }]) => connections.has(connection));
      return asked.flatMap(([uniqueId, one]) => {
        const sa = sas.find((candidate) => candidate.uniqueId === uniqueId);
        if (sa === undefined) {
          unanswered.delete(uniqueId);
          return [];
        }
        const succeeded = sas.some((other) => isSuccessor(other, sa));
        if (!isDead(sa, { silentMs: listen(one, sa, now), succeeded, waitedMs: now - one.since })) {
          return [];
        }
        unanswered.delete(uniqueId);
        return [{ uniqueId, connection: one.connection, succeeded }];
      });
    },
  };
}

/** How long nothing has come in through the CHILD_SAs; milliseconds. */
function listen(one: Unanswered, { children }: IkeSa, now: number): number {
  const packets = children.reduce((sum, { packetsIn }) => sum + packetsIn, 0);
  if (one.heard?.packets !== packets) {
    one.heard = { packets, at: now };
  }
  return now - one.heard.at;
}

interface Signs {
  readonly waitedMs: number;
  readonly silentMs: number;
  readonly succeeded: boolean;
}

function isDead({ state }: IkeSa, { waitedMs, silentMs, succeeded }: Signs): boolean {
  const patience = succeeded ? SUCCEEDED_MS : SILENT_MS;
  return waitedMs >= UNANSWERED_MS && (!ALIVE.has(state) || silentMs >= patience);
}

function isSuccessor(other: IkeSa, sa: IkeSa): boolean {
  return other.connection === sa.connection && other.state === 'ESTABLISHED' && other.uniqueId > sa.uniqueId;
}
