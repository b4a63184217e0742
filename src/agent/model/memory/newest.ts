/**
 * What is remembered only for a while, at most `most` of each namespace: a tenant can make and delete objects
 * for as long as it likes, and crowds out none but its own. What would be forgotten last stays.
 */
export function newestPerNamespace<T extends { readonly namespace: string; readonly until: number }>(
  gone: readonly T[],
  most: number,
): T[] {
  return [...Map.groupBy(gone, ({ namespace }) => namespace).values()].flatMap((own) =>
    own.length <= most ? own : [...own].sort((a, b) => b.until - a.until).slice(0, most),
  );
}
