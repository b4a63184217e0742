import type { Reflector } from '../../../kube/reflector.ts';
import type { ParsedObject } from '../parse-object.ts';
import { wants } from './slice-scope.ts';

interface Watched {
  readonly reflector: Pick<Reflector<ParsedObject>, 'items' | 'missing'>;
}

/** A change of what is watched is no loss; that a new watch finds nothing where another did is one. */
export function stillLacking(
  before: ReadonlySet<string>,
  retired: ReadonlyMap<string, Watched>,
  slices: ReadonlyMap<string, Watched>,
): ReadonlySet<string> {
  const there = (key: string): boolean =>
    [...slices.values()].some(({ reflector }) => reflector.items.has(key));
  if (retired.size === 0) {
    return before.size === 0 ? before : new Set([...before].filter((key) => !there(key)));
  }
  const wanted = [...slices.keys()].map((watch) => wants(JSON.parse(watch)));
  const lost = [...retired.values()].flatMap(({ reflector: { items, missing } }) => [
    ...missing,
    ...[...items].flatMap(([key, { object }]) => (wanted.some((is) => is(object)) ? [key] : [])),
  ]);
  return new Set(lost.filter((key) => !there(key)));
}
