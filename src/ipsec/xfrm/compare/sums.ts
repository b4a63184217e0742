import type { XfrmPolicy } from '../../plan/types.ts';
import { cellOf, checksum, minus, plus } from './checksum.ts';

/**
 * Number of cells. With so many, a pod with policies towards 1,000 nodes, or a tunnel of 250 pods, is in a
 * few of them only.
 */
export const CELLS = 16_384;

/**
 * The checksums of a set of policies, added up in cells: the addresses of a policy's selector decide its
 * cell, and the whole policy its checksum.
 */
export interface Sums {
  add(policy: XfrmPolicy): void;
  remove(policy: XfrmPolicy): void;
  /**
   * Begins to compare this set with another one, which is shown policy by policy while this set may go on
   * changing.
   */
  compare(): Comparison;
}

export interface Comparison {
  see(policy: XfrmPolicy): void;
  /**
   * `off` has the cells whose sums differ. It says nothing of cells that have changed since the comparison
   * began; `changed` tells which they are.
   */
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
