import { BOUNDS } from '../../../cluster/bounds.ts';
import type { IPsecPolicy } from '../../../cluster/objects.ts';
import type { KnownItems, PolicyItem } from '../../../cluster/policies/items.ts';
import { memoized } from '../../../util/memo.ts';

/** How long a policy that is created anew counts as an edit of the one that was deleted. */
export const WITHDRAWN_MS = 10 * 60_000;

/** Items of policies that are gone, by `<policy>/<item>`. They are not in force. */
export type WithdrawnItems = ReadonlyMap<string, PolicyItem & { readonly until: number }>;

const NONE: WithdrawnItems = new Map();

const namesOf = memoized(
  (policies: readonly IPsecPolicy[], unread: ReadonlySet<string>): ReadonlySet<string> =>
    new Set([...policies.map(({ metadata }) => metadata.name), ...unread]),
);

/**
 * The items that count as accepted before: those that are known, and those of a policy that was deleted a
 * moment ago and is back (`kubectl replace --force`).
 */
export function withReturned(
  known: KnownItems,
  withdrawn: WithdrawnItems,
  policies: readonly IPsecPolicy[],
  unread: ReadonlySet<string>,
  now: number,
): KnownItems {
  const there = withdrawn.size === 0 ? undefined : namesOf(policies, unread);
  const back = [...withdrawn]
    .filter(([key, { policy, until }]) => there?.has(policy) && until > now && !known.has(key))
    .map(([key, { until: _, ...item }]): [string, PolicyItem] => [key, item]);
  return back.length === 0 ? known : new Map([...known, ...back]);
}

/** What is remembered of policies that are gone; `before` itself if that has not changed. */
export function nextWithdrawn(
  before: WithdrawnItems,
  known: KnownItems,
  policies: readonly IPsecPolicy[],
  unread: ReadonlySet<string>,
  now: number,
): WithdrawnItems {
  const there = namesOf(policies, unread);
  const gone = [...known].filter(([, { policy }]) => !there.has(policy));
  const still = [...before].filter(([, { policy, until }]) => !there.has(policy) && until > now);
  if (gone.length === 0 && still.length === before.size) {
    return before;
  }
  const until = now + WITHDRAWN_MS;
  const fresh = gone.map(([key, item]): [string, PolicyItem & { until: number }] => [
    key,
    { ...item, until },
  ]);
  const all = new Map(
    [...fresh, ...still.filter(([key]) => !known.has(key))].slice(0, BOUNDS.itemsPerPolicy),
  );
  return all.size === 0 ? NONE : all;
}
