/** Objects as `parse` makes them, by key. Those that it does not understand keep their last good form. */
export interface Kept<T> {
  readonly items: ReadonlyMap<string, T>;
  /** Why an object was not understood, by key. */
  readonly problems: ReadonlyMap<string, string>;
  /** Another number whenever anything may have changed. */
  readonly version: number;
  /** Like `remove` and `removeAllBut`, true if anything has changed. */
  put(key: string, raw: unknown): boolean;
  remove(key: string): boolean;
  removeAllBut(keys: ReadonlySet<string>): boolean;
}

/** `parse` returns the value to keep, or a text that says why it does not understand the object. */
export function createKept<T>(parse: (raw: unknown) => T | string): Kept<T> {
  const items = new Map<string, T>();
  const problems = new Map<string, string>();
  const texts = new Map<string, string>();
  let version = 0;
  const remove = (key: string): boolean => {
    version += 1;
    items.delete(key);
    problems.delete(key);
    return texts.delete(key);
  };
  return {
    items,
    problems,
    get version() {
      return version;
    },
    put(key, raw) {
      const value = parse(raw);
      const text = JSON.stringify(value);
      if (texts.get(key) === text) {
        return false;
      }
      version += 1;
      texts.set(key, text);
      if (typeof value === 'string') {
        problems.set(key, value);
      } else {
        problems.delete(key);
        items.set(key, value);
      }
      return true;
    },
    remove,
    removeAllBut: (keys) =>
      [...texts.keys()]
        .filter((key) => !keys.has(key))
        .map(remove)
        .includes(true),
  };
}
