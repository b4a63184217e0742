/**
 * Returns a function that gives back an earlier value for as long as new ones have the same JSON text. So
 * what compares by identity sees no change where there is none.
 */
export function steady<T>(): (value: T) => T {
  let last: { readonly value: T; readonly text: string } | undefined;
  return (value) => {
    const text = JSON.stringify(value);
    if (last?.text !== text) {
      last = { value, text };
    }
    return last.value;
  };
}

/** Whether two lists hold the same objects. */
export function sameElements(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((element, index) => element === b[index]);
}

/** Remembers the last result of a pure function, for as long as its arguments are the same objects. */
export function memoized<A extends readonly unknown[], R>(make: (...args: A) => R): (...args: A) => R {
  let last: { readonly args: A; readonly result: R } | undefined;
  return (...args) => {
    if (last === undefined || !sameElements(args, last.args)) {
      last = { args, result: make(...args) };
    }
    return last.result;
  };
}
