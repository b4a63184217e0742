import { messageOf } from '../util/message-of.ts';

/** Objects as `parse` makes them, by key. Those that it does not understand keep their last good form. */
export interface Kept<T> {
  readonly items: ReadonlyMap<string, T>;
  /** Why an object was not understood, or not as a whole; by key. */
  readonly problems: ReadonlyMap<string, string>;
  /** Keys that a new list lacked, and that nobody has seen deleted: the newest MOST_MISSING. */
  readonly missing: ReadonlySet<string>;
  /** Another number whenever anything may have changed. */
  readonly version: number;
  /** Like `remove` and `removeAllBut`, true if anything has changed. */
  put(key: string, raw: unknown): boolean;
  remove(key: string): boolean;
  removeAllBut(keys: ReadonlySet<string>): boolean;
}

/** How many missing keys are remembered. */
const MOST_MISSING = 10_000;

/**
 * Returns the value to keep; or a text that says why the object is not understood; or undefined if it is none
 * of those that are wanted: it then counts as not there. `former` is the value that is kept so far.
 */
export type Parse<T> = (raw: unknown, former: T | undefined) => T | string | undefined;

/** `flawOf`: what of a value is not in force as written; empty if all of it is. */
export function createKept<T>(parse: Parse<T>, flawOf: (value: T) => string = () => ''): Kept<T> {
  const items = new Map<string, T>();
  const problems = new Map<string, string>();
  const missing = new Set<string>();
  let version = 0;
  const remove = (key: string): boolean => {
    const known = items.delete(key);
    const unread = problems.delete(key);
    missing.delete(key);
    version += known || unread ? 1 : 0;
    return known || unread;
  };
  const understood = (raw: unknown, former: T | undefined): T | string | undefined => {
    try {
      return parse(raw, former);
    } catch (error) {
      return messageOf(error);
    }
  };
  return {
    items,
    problems,
    missing,
    get version() {
      return version;
    },
    put(key, raw) {
      const former = items.get(key);
      const value = understood(raw, former);
      if (value === undefined) {
        return remove(key);
      }
      const problem = typeof value === 'string' ? value : flawOf(value);
      const same =
        (problems.get(key) ?? '') === problem &&
        (typeof value === 'string' || (items.has(key) && JSON.stringify(former) === JSON.stringify(value)));
      if (same) {
        return false;
      }
      version += 1;
      missing.delete(key);
      problems.delete(key);
      if (problem !== '') {
        problems.set(key, problem);
      }
      if (typeof value !== 'string') {
        items.set(key, value);
      }
      return true;
    },
    remove,
    removeAllBut(keys) {
      const gone = [...new Set([...items.keys(), ...problems.keys()])].filter((key) => !keys.has(key));
      for (const key of gone) {
        remove(key);
        missing.add(key);
      }
      for (const oldest of [...missing].slice(0, Math.max(0, missing.size - MOST_MISSING))) {
        missing.delete(oldest);
      }
      return gone.length > 0;
    },
  };
}
