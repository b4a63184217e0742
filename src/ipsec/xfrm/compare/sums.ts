import type { XfrmPolicy } from '../../plan/types.ts';
import { cellOf, checksum, minus, plus } from './checksum.ts';

/** So many that a pod with policies towards 1,000 nodes, or a tunnel of 250 pods, is in a few of them. */
export const CELLS = 16_384;

/** The checksums of a set of policies, added up in cells: what a policy is decides its sum, where its selector points decides its cell. */
export interface Sums {
  add(policy: XfrmPolicy): void;
  remove(policy: XfrmPolicy): void;
  /** Begins to compare the set with one that is shown policy by policy, while this one goes on changing. */
  compare(): Comparison;
}

export interface Comparison {
  see(policy: XfrmPolicy): void;
  /** Cells whose sum is another one; nothing is said of cells that have changed since the comparison began. */
  result(): { readonly off: ReadonlySet<number>; readonly changed: (cell: number) => boolean };
}

export function createSums(policies: Iterable<XfrmPolicy>): Sums {
  const sums = new Float64Array(CELLS);
  const changes = new Uint32Array(CELLS);
  const put = (of: (a: number, b: number) => number, policy: XfrmPolicy): void => {
    const cell = cellOf(policy, CELLS);
    sums[cell] = of(sums[cell] ?? 0, checksum(policy));
    changes[cell] = (changes[cell] ?? 0) + 1;
  };
  for (const policy of policies) {
    put(plus, policy);
  }
  return {
    add: (policy) => put(plus, policy),
    remove: (policy) => put(minus, policy),
    compare() {
      const before = changes.slice();
      const seen = new Float64Array(CELLS);
      const changed = (cell: number): boolean => changes[cell] !== before[cell];
      return {
        see(policy) {
          const cell = cellOf(policy, CELLS);
          seen[cell] = plus(seen[cell] ?? 0, checksum(policy));
        },
        result() {
          const cells = [...seen.keys()];
          return {
            off: new Set(cells.filter((cell) => seen[cell] !== sums[cell] && !changed(cell))),
            changed,
          };
        },
      };
    },
  };
}
