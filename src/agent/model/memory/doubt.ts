import type { ObjectProblem } from '../../../cluster/snapshot.ts';

/** How long a list is doubted that lacks everything, or most, although nobody has seen it deleted. */
export const DOUBT_MS = 10 * 60_000;
/** So many have to have been there for most of them to be suspicious. */
const FEW = 3;

export interface Vanishing {
  /** As problems call the objects. */
  readonly kind: string;
  /** Names of what was there before. */
  readonly before: readonly string[];
  /** Names of what is there now, whether it can be read or not. */
  readonly there: ReadonlySet<string>;
  /** Names of what has gone without being seen to go; undefined: of nothing that is known, so all. */
  readonly missing: ReadonlySet<string> | undefined;
  /** Only a list that lacks everything is doubted. */
  readonly whole?: boolean;
}

export interface Doubts {
  /** The names that have vanished and are still believed to be there. */
  held(vanishing: Vanishing, now: number): ReadonlySet<string>;
  /** What is doubted, since the last call of `held` for each kind. */
  problems(): readonly ObjectProblem[];
  /** Whether a doubt has ended since then. */
  ended(now: number): boolean;
}

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Doubts lists that are suddenly empty, or nearly so: an API server that was restored from nothing, a new
 * list after the agent was away, a folder that lost its contents. What goes with single events was deleted;
 * what all is missing at once is believed gone only after a time.
 */
export function createDoubts(): Doubts {
  const doubts = new Map<string, Map<string, number>>();
  const sets = new Map<string, ReadonlySet<string>>();
  return {
    held({ kind, before, there, missing, whole = false }, now) {
      const known = doubts.get(kind) ?? new Map<string, number>();
      const gone = before.filter((name) => !there.has(name));
      const fresh = gone.filter((name) => !known.has(name) && (missing?.has(name) ?? true));
      const most = !whole && before.length >= FEW && 2 * fresh.length > before.length;
      const suspicious = fresh.length > 0 && (there.size === 0 || most);
      const since = new Map(
        gone.flatMap((name): [string, number][] => {
          const at = known.get(name) ?? (suspicious && fresh.includes(name) ? now : undefined);
          return at === undefined ? [] : [[name, at]];
        }),
      );
      doubts.set(kind, since);
      const names = [...since].filter(([, at]) => now - at < DOUBT_MS).map(([name]) => name);
      const last = sets.get(kind) ?? NOTHING;
      const same = last.size === names.length && names.every((name) => last.has(name));
      const result = same ? last : new Set(names);
      sets.set(kind, result);
      return result;
    },
    problems: () =>
      [...sets].flatMap(([kind, names]) =>
        names.size === 0
          ? []
          : [
              {
                where: kind,
                message: `${names.size} that were there are missing in a new list and were not seen deleted (${[...names].slice(0, 5).join(', ')}): what they said stays in force for ${DOUBT_MS / 60_000} minutes, then the list is believed`,
              },
            ],
      ),
    ended: (now) =>
      [...doubts].some(([kind, since]) =>
        [...since].some(([name, at]) => now - at >= DOUBT_MS && sets.get(kind)?.has(name) === true),
      ),
  };
}
