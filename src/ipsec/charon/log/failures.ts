import * as z from 'zod';
import type { ViciMessage } from '../../vici/message.ts';

/** A negotiation that charon gave up. */
export interface Failure {
  /** Name of the connection. */
  readonly connection: string;
  readonly reason: string;
}

const logSchema = z.object({ 'ikesa-name': z.string().catch(''), msg: z.string().catch('') });

export const NO_ANSWER = 'the peer does not answer: is UDP 500 and 4500 open?';

/** Log lines of charon that tell of a failure, and what an operator has to know of it. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/giving up after \d+ retransmits|^retransmit (?:[5-9]|\d\d+) of request/, NO_ANSWER],
  [
    /received NO_PROPOSAL_CHOSEN notify/,
    'the peer accepts none of our proposals, or has no connection for us (NO_PROPOSAL_CHOSEN)',
  ],
  [
    /no acceptable proposal found|received proposals unacceptable/,
    'none of the proposals of the peer is acceptable',
  ],
  [
    /received AUTHENTICATION_FAILED notify/,
    'the peer does not accept our certificate (AUTHENTICATION_FAILED)',
  ],
  [
    /no trusted .* public key found|no issuer certificate found/,
    'the certificate of the peer is from no CA that we trust',
  ],
  [
    /certificate (was revoked|expired|invalid)|certificate validation failed|subject certificate invalid/,
    'the certificate of the peer is not valid',
  ],
  [/received TS_UNACCEPTABLE notify/, 'the peer does not have this child (TS_UNACCEPTABLE)'],
  [
    /traffic selectors .* unacceptable|no matching CHILD_SA config|no acceptable traffic selectors/,
    'the peer asks for a child that we do not have',
  ],
  [
    /received .*INTERNAL_ADDRESS_FAILURE|received (FAILED_CP_REQUIRED|INVALID_SYNTAX) notify/,
    'the peer refuses the negotiation',
  ],
];

/** One test that turns away most lines: charon logs hundreds of lines a second on a large node. */
const ANY = new RegExp(REASONS.map(([pattern]) => pattern.source).join('|'));

/** The failure that an event `log` of VICI tells of, or undefined. */
export function failureIn(message: ViciMessage): Failure | undefined {
  if (typeof message.msg !== 'string' || !ANY.test(message.msg)) {
    return undefined;
  }
  const { 'ikesa-name': connection, msg } = logSchema.parse(message);
  const reason = REASONS.find(([pattern]) => pattern.test(msg))?.[1];
  return connection === '' || reason === undefined ? undefined : { connection, reason };
}
