/** How many Events about one subject and for one reason may come at once. */
const AT_ONCE = 10;
/** After those, one Event in this time. */
const EVERY_MS = 300_000;
/** Of how many subjects the controller remembers what it has written; the longest unused are forgotten. */
const REMEMBERED = 20_000;

interface Quota {
  readonly left: number;
  /** When `left` was right. */
  readonly at: number;
  readonly dropped: number;
}

/** Whether an Event may be written now. `dropped`: how many like it have been left out since the last one. */
export interface Grant {
  readonly granted: boolean;
  readonly dropped: number;
}

/**
 * Holds back Events that come too often: what an agent writes into its IPsecNode, however often it changes
 * it, must not fill the API server. `clock` is monotonic, milliseconds.
 */
export function createEventLimit(clock: () => number): (subject: string) => Grant {
  const quotas = new Map<string, Quota>();
  return (subject) => {
    const now = clock();
    const before = quotas.get(subject) ?? { left: AT_ONCE, at: now, dropped: 0 };
    const left = Math.min(AT_ONCE, before.left + (now - before.at) / EVERY_MS);
    const granted = left >= 1;
    quotas.delete(subject);
    quotas.set(subject, {
      left: granted ? left - 1 : left,
      at: now,
      dropped: granted ? 0 : before.dropped + 1,
    });
    const [oldest] = quotas.keys();
    if (quotas.size > REMEMBERED && oldest !== undefined) {
      quotas.delete(oldest);
    }
    return { granted, dropped: before.dropped };
  };
}
