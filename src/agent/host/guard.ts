import { markUnguarded, unmarkUnguarded } from '../../rundir/unguarded.ts';

/** What is needed of a log. */
export interface GuardLog {
  readonly warn: (facts: { readonly problem: string }, message: string) => void;
}

/** Says when the node is not guarded. */
export interface Guard {
  /** Nothing may be attached to the node from now on, and why. Throws if it cannot be said. */
  readonly mark: (reason: string) => void;
  readonly unmark: () => void;
  /** A table that had been laid was not there any more, or not as it was. */
  readonly onLost: (reason: string) => void;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

/** Who changes our tables all the time does not fill the log. */
const TOLD_MS = 10_000;

/** Keeps the mark in the run directory. What an earlier agent has marked is unmarked as well. */
export function createGuard(runDir: string, log: GuardLog, now: () => number): Guard {
  /** Undefined while it is not known. */
  let marked: string | null | undefined;
  let told = Number.NEGATIVE_INFINITY;
  return {
    now,
    mark: (reason) => {
      if (marked !== reason) {
        markUnguarded(runDir, reason.replaceAll(/\s+/g, ' '));
        marked = reason;
      }
    },
    unmark: () => {
      if (marked !== null) {
        unmarkUnguarded(runDir);
        marked = null;
      }
    },
    onLost: (reason) => {
      if (now() - told >= TOLD_MS) {
        told = now();
        log.warn({ problem: reason }, 'nftables: laid again');
      }
    },
  };
}
