import * as z from 'zod';
import { CONNECTION_PREFIX } from '../../plan/connections.ts';
import type { ViciMessage } from '../../vici/message.ts';
import type { IkeSa } from '../replies.ts';

/** How long requests go unanswered before anything is concluded; milliseconds. A responder keeps what is half open for 15 s. */
export const UNANSWERED_MS = 9_000;
/** How long an IKE_SA is kept that nothing at all comes through: longer than spanning tree holds back a port. */
export const SILENT_MS = 60_000;
/** The same, once its peer has answered through another one: charon sends a request again every 4 s. */
export const ELSEWHERE_MS = 6_000;

const REPEATED = /^retransmit \d+ of request/;
const ANSWERED = /^parsed \w+ response/;
/** Only the peer can have sent it. */
const ANSWERED_BY_PEER = /^parsed (?:INFORMATIONAL|CREATE_CHILD_SA) response/;
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
  /** When the peer first answered through another IKE_SA since. */
  elsewhere?: number;
}

export interface Dead {
  readonly uniqueId: number;
  readonly connection: string;
  /** The peer answers through another IKE_SA: it has lost this one. */
  readonly elsewhere: boolean;
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
        const others = ANSWERED_BY_PEER.test(line) ? [...unanswered.values()] : [];
        for (const one of others.filter((other) => other.connection === connection)) {
          one.elsewhere ??= now;
        }
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
        if (!isDead(sa.state, { ...one, silentMs: listen(one, sa, now) }, now)) {
          return [];
        }
        unanswered.delete(uniqueId);
        return [{ uniqueId, connection: one.connection, elsewhere: one.elsewhere !== undefined }];
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

function isDead(
  state: string,
  { since, silentMs, elsewhere }: Unanswered & { readonly silentMs: number },
  now: number,
): boolean {
  const patience = elsewhere !== undefined && now - elsewhere >= ELSEWHERE_MS ? ELSEWHERE_MS : SILENT_MS;
  return now - since >= UNANSWERED_MS && (!ALIVE.has(state) || silentMs >= patience);
}
