/** Remembers the last result of a pure function, for as long as its arguments are the same objects. */
export function memoized<A extends readonly unknown[], R>(make: (...args: A) => R): (...args: A) => R {
  let last: { readonly args: A; readonly result: R } | undefined;
  return (...args) => {
    if (last === undefined || !args.every((arg, index) => arg === last?.args[index])) {
      last = { args, result: make(...args) };
    }
    return last.result;
  };
}
