/**
 * How long the two ends of a renewal wait for each other; milliseconds. Neither end gets an answer from the
 * other, so both go by the clock, with the same setting (docs/design.md, Replacing SAs).
 */
export interface Pace {
  /**
   * Time for the peer's agent to see an announcement and to pin its policies to the SAs that it sends
   * through.
   */
  readonly pinMs: number;
  /** Time for the initiator to install a CHILD_SA, once the responder has it. */
  readonly installMs: number;
  /** Time for the peer's agent to unpin its policies again, and for packets in flight to arrive. */
  readonly inFlightMs: number;
  /**
   * Time for our own policies to be unpinned, and for packets that were sent through the old SAs to arrive.
   */
  readonly unpinMs: number;
  /**
   * When a pin ends that nobody ends. If the peer does not go on, our policies must not stay pinned to SAs
   * that end.
   */
  readonly lastMs: number;
}

export function paceOf(pinS: number): Pace {
  const pinMs = pinS * 1_000;
  return { pinMs, installMs: pinMs / 2, inFlightMs: 2 * pinMs, unpinMs: pinMs, lastMs: 6 * pinMs };
}
