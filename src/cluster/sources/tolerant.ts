import type * as z from 'zod';
import { shown } from '../../util/printable.ts';
import { BOUNDS } from '../bounds.ts';

/**
 * A part of an object that counts by itself: if it is malformed, the rest of the object stays in force.
 */
export interface Part {
  /** Where it is; `*` stands for any element of a list. */
  readonly path: readonly string[];
  /**
   * What each element of the list is known by. A malformed one then keeps the form that the element of this
   * key had before. Without keys, and without a former form, the part is left out.
   */
  readonly keys?: (list: readonly unknown[]) => readonly string[];
}

/** A value that its schema accepts, and what of the raw one is not in it; or why it is refused as a whole. */
export type Tolerated<T> =
  | { readonly kind: 'ok'; readonly value: T; readonly flaws: Flaws }
  | { readonly kind: 'refused'; readonly reason: string };

/** How many parts of an object are not in force as written, and the first of them in words. */
export interface Flaws {
  readonly count: number;
  readonly first: string;
}

export const NO_FLAWS: Flaws = { count: 0, first: '' };

const LEFT_OUT = Symbol('left out');

/** `former`: what the object was understood as before, if it was. Never throws. */
export function parseTolerantly<T>(
  schema: z.ZodType<T>,
  {
    raw,
    former,
    parts,
  }: { readonly raw: unknown; readonly former: unknown; readonly parts: readonly Part[] },
): Tolerated<T> {
  const parsed = schema.safeParse(raw);
  if (parsed.success) {
    return { kind: 'ok', value: parsed.data, flaws: NO_FLAWS };
  }
  const { issues } = parsed.error;
  const reasonOf = ({ path, message }: (typeof issues)[number]): string =>
    `${path.join('.')}: ${message}, got ${shown(valueAt(raw, path), BOUNDS.charactersPerValue)}`;
  const targets = new Map<string, Target>();
  for (const issue of issues) {
    const part = longest(parts.filter((each) => leadsTo(each.path, issue.path)));
    if (part === undefined) {
      return { kind: 'refused', reason: reasonOf(issue) };
    }
    const at = issue.path.slice(0, part.path.length);
    targets.set(at.join('\0'), { at, part });
  }
  const [firstIssue] = issues;
  const reason = firstIssue === undefined ? '' : reasonOf(firstIssue);
  const mended = structuredClone(raw);
  const formerly = formerElements(raw, former);
  let kept = 0;
  for (const target of targets.values()) {
    const before = formerly(target);
    kept += before === undefined ? 0 : 1;
    replace(mended, target.at, before ?? LEFT_OUT);
  }
  const again = schema.safeParse(withoutLeftOut(mended));
  const first = `${reason}; ${kept === targets.size ? 'what it said before stays in force' : 'left out'}`;
  return again.success
    ? { kind: 'ok', value: again.data, flaws: { count: targets.size, first } }
    : { kind: 'refused', reason };
}

interface Target {
  readonly at: readonly PropertyKey[];
  readonly part: Part;
}

function leadsTo(pattern: readonly string[], path: readonly PropertyKey[]): boolean {
  return (
    pattern.length <= path.length &&
    pattern.every((step, index) => (step === '*' ? typeof path[index] === 'number' : step === path[index]))
  );
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) =>
      typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? at[key as never] : undefined,
    value,
  );
}

/**
 * Returns a function that finds the form that an element had before, by its key. The keys of a list are made
 * once.
 */
function formerElements(raw: unknown, former: unknown): (target: Target) => unknown {
  const lists = new Map<
    string,
    { readonly keys: readonly string[]; readonly before: ReadonlyMap<string, unknown> }
  >();
  return ({ at, part: { keys } }) => {
    if (keys === undefined) {
      return undefined;
    }
    const where = at.slice(0, -1);
    const name = where.join('\0');
    const listOf = (value: unknown): readonly unknown[] => {
      const list = valueAt(value, where);
      return Array.isArray(list) ? list : [];
    };
    const list = lists.get(name) ?? {
      keys: keys(listOf(raw)),
      before: new Map(keys(listOf(former)).map((key, index) => [key, listOf(former)[index]])),
    };
    lists.set(name, list);
    return list.before.get(list.keys[Number(at.at(-1))] ?? '');
  };
}

function longest(parts: readonly Part[]): Part | undefined {
  return [...parts].sort((a, b) => b.path.length - a.path.length)[0];
}

function replace(value: unknown, at: readonly PropertyKey[], by: unknown): void {
  const holder = valueAt(value, at.slice(0, -1)) as Record<PropertyKey, unknown>;
  holder[at.at(-1) ?? ''] = by;
}

function withoutLeftOut(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.filter((each) => each !== LEFT_OUT).map(withoutLeftOut);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== LEFT_OUT)
      .map(([key, each]) => [key, withoutLeftOut(each)]),
  );
}
