const IGNORED = /ignoring acquire for reqid (\d+), connection attempt pending/;

/** Longer than any attempt takes: 15 s half open, 12 s without an answer. */
export const STUCK_MS = 20_000;

/** Traps of charon that wait for an attempt that has ended. */
export interface StuckTraps {
  /** Takes a line that charon logs; the reqid of a trap that is stuck, once. Milliseconds of any clock. */
  note(line: string, now: number): number | undefined;
  /** A CHILD_SA with this reqid came up or went down. */
  moved(reqid: number): void;
}

/**
 * charon ignores the kernel's acquires while an attempt for the same trap is pending, and forgets to end that where it drops the attempt for a
 * CHILD_SA that is there already (5.9.8). Once that one goes, nothing would ever be negotiated again.
 */
export function createStuckTraps(): StuckTraps {
  const since = new Map<number, number>();
  return {
    note(line, now) {
      const reqid = Number(IGNORED.exec(line)?.[1] ?? 0);
      const first = since.get(reqid);
      if (reqid === 0 || first === undefined || now - first < STUCK_MS) {
        if (reqid !== 0 && first === undefined) {
          since.set(reqid, now);
        }
        return undefined;
      }
      since.delete(reqid);
      return reqid;
    },
    moved: (reqid) => void since.delete(reqid),
  };
}
