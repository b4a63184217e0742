/** How long the two ends of a renewal wait for each other; milliseconds. Nobody answers: both go by the clock, and by the same setting. */
export interface Pace {
  /** For the peer's agent to see an announcement, and to hold its policies to the SAs that it sends through. */
  readonly pinMs: number;
  /** For the initiator of a CHILD_SA to have it, once the responder has. */
  readonly installMs: number;
  /** For the peer's agent to let go again. */
  readonly inFlightMs: number;
  /** For our own policies to be let go, and what was sent through the old SAs to arrive. */
  readonly unpinMs: number;
  /** A hold that nobody ends; a peer that does not go on must not hold us to SAs that end. */
  readonly lastMs: number;
}

export function paceOf(pinS: number): Pace {
  const pinMs = pinS * 1_000;
  return { pinMs, installMs: pinMs / 2, inFlightMs: 2 * pinMs, unpinMs: pinMs, lastMs: 6 * pinMs };
}
