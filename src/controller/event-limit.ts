export interface Rate {
  /** How many about one subject may come at once. */
  readonly atOnce: number;
  /** After those, one in this time. */
  readonly everyMs: number;
}

/** Of Events about one object and for one reason. */
const EVENTS: Rate = { atOnce: 10, everyMs: 300_000 };
/** Of writes of the status of one policy while it stays in its phase. */
export const STATUSES: Rate = { atOnce: 10, everyMs: 10_000 };
/** Of how many subjects the controller remembers what it has written; the longest unused are forgotten. */
const REMEMBERED = 20_000;

interface Quota {
  readonly left: number;
  /** When `left` was right. */
  readonly at: number;
  readonly dropped: number;
}

/** Whether one may be written now. `dropped`: how many like it have been left out since the last one. */
export interface Grant {
  readonly granted: boolean;
  readonly dropped: number;
}

/**
 * Holds back what is written too often, Events by default: what an agent writes into its IPsecNode, however
 * often it changes it, must not keep the API server busy. `clock` is monotonic, milliseconds.
 */
export function createEventLimit(
  clock: () => number,
  { atOnce, everyMs }: Rate = EVENTS,
): (subject: string) => Grant {
  const quotas = new Map<string, Quota>();
  return (subject) => {
    const now = clock();
    const before = quotas.get(subject) ?? { left: atOnce, at: now, dropped: 0 };
    const left = Math.min(atOnce, before.left + (now - before.at) / everyMs);
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
