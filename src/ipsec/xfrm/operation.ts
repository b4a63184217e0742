import type { XfrmPolicy } from '../plan/types.ts';

/** One change of the kernel's policy table. A delete has the whole policy too, so that it can be undone. */
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

/** The operations that undo a list of operations, in reverse order. */
export function inverseAll(operations: readonly Operation[]): Operation[] {
  return operations.map(inverse).reverse();
}

const TURN = { add: 0, update: 1, delete: 2 } as const;

/**
 * Sorts operations so that no packet ever meets a weaker policy than the one that is meant for it; that one
 * would send it through another child, or make it wait for that child. Adds come first, the strongest
 * policies before weaker ones. Deletes come last, the weakest policies before stronger ones.
 */
export function inOrder(operations: readonly Operation[]): Operation[] {
  const weight = ({ op, policy: { priority } }: Operation): number =>
    op === 'add' ? priority : op === 'delete' ? -priority : 0;
  return [...operations].sort((a, b) => TURN[a.op] - TURN[b.op] || weight(a) - weight(b));
}
