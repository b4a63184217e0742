import * as z from 'zod';
import { CONNECTION_PREFIX } from '../../plan/connections.ts';
import type { ViciMessage } from '../../vici/message.ts';
import type { IkeSa } from '../replies.ts';

/**
 * How long a request must go unanswered before its IKE_SA can count as dead; milliseconds. A responder keeps
 * a half-open IKE_SA for 15 s.
 */
export const UNANSWERED_MS = 9_000;
/**
 * How long an IKE_SA is kept through which nothing at all comes in; milliseconds. It is longer than spanning
 * tree blocks a port.
 */
export const SILENT_MS = 60_000;
/** As SILENT_MS, once the peer has answered through another IKE_SA. charon repeats a request every 4 s. */
export const ELSEWHERE_MS = 6_000;

const REPEATED = /^retransmit \d+ of request/;
const ANSWERED = /^parsed \w+ response/;
/** Responses that nobody but the peer can have sent. */
const ANSWERED_BY_PEER = /^parsed (?:INFORMATIONAL|CREATE_CHILD_SA) response/;
const ALIVE: ReadonlySet<string> = new Set(['ESTABLISHED', 'REKEYING']);

/** Accepts lines of our connections alone: an IKE_SA of another connection is never given up here. */
const logSchema = z.object({
  'ikesa-uniqueid': z.coerce.number(),
  'ikesa-name': z.string().startsWith(CONNECTION_PREFIX),
});

interface Unanswered {
  readonly connection: string;
  readonly since: number;
  /**
   * How many packets had come in through the CHILD_SAs at the last look, and when a look first saw that
   * number.
   */
  heard?: { readonly packets: number; readonly at: number };
  /** When the peer first answered through another IKE_SA while this one was unanswered. */
  elsewhere?: number;
}

export interface Dead {
  readonly uniqueId: number;
  readonly connection: string;
  /** The peer answers through another IKE_SA, so it has lost this one. */
  readonly elsewhere: boolean;
}

/**
 * Finds IKE_SAs whose peer is dead. ESP is a sign of life like any other (RFC 7296 2.4), but charon asks for
 * a sign of life whatever comes in by ESP: before Linux 6.2 it would go by the last use of a policy, and our
 * policies are not its own. charon is therefore configured to wait long, and the IKE_SAs to give up are
 * chosen here.
 */
export interface Liveness {
  /**
   * Takes a line that charon logs; `now` is milliseconds of any clock. Returns the connection if the line
   * says that a peer did not answer, or that it answers again.
   */
  note(
    message: ViciMessage,
    now: number,
  ): { readonly connection: string; readonly answered: boolean } | undefined;
  /** Names of connections with an unanswered request. */
  doubtful(): ReadonlySet<string>;
  /** Takes all IKE_SAs of these connections and returns those to give up. Each is returned once. */
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

/** How long nothing has come in through the CHILD_SAs of an IKE_SA; milliseconds. Notes what has come in. */
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
