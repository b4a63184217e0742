import type { XfrmPolicy } from '../plan/types.ts';

/** One change of the kernel's policy table. A policy is given whole even for a delete, so that it can be undone. */
export type Operation =
  | { readonly op: 'add'; readonly policy: XfrmPolicy }
  | { readonly op: 'update'; readonly policy: XfrmPolicy; readonly previous: XfrmPolicy }
  | { readonly op: 'delete'; readonly policy: XfrmPolicy };

export function inverse(operation: Operation): Operation {
  switch (operation.op) {
    case 'add':
      return { op: 'delete', policy: operation.policy };
    case 'update':
      return { op: 'update', policy: operation.previous, previous: operation.policy };
    case 'delete':
      return { op: 'add', policy: operation.policy };
  }
}

/** What undoes a list of operations, last one first. */
export function inverseAll(operations: readonly Operation[]): Operation[] {
  return operations.map(inverse).reverse();
}

const TURN = { add: 0, update: 1, delete: 2 } as const;

/**
 * Adds come first, the strongest policies before the weaker ones, and deletes last, the other way round: at no moment is a packet caught by a
 * weaker policy than the one that is for it, which would send it through another child, or wait for that.
 */
export function inOrder(operations: readonly Operation[]): Operation[] {
  const weight = ({ op, policy: { priority } }: Operation): number =>
    op === 'add' ? priority : op === 'delete' ? -priority : 0;
  return [...operations].sort((a, b) => TURN[a.op] - TURN[b.op] || weight(a) - weight(b));
}
