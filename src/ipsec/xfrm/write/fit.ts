import { policyKey } from '../../plan/ours.ts';
import type { PolicyKey } from '../../plan/types.ts';
import type { Conflict } from '../error.ts';
import { ownPolicy, samePolicy, type TablePolicy } from '../kernel-policy.ts';
import type { Operation } from '../operation.ts';

/** What is left to do, given what stands in the kernel, and where another's policy is in the way. */
export interface Fitted {
  readonly operations: readonly Operation[];
  readonly conflicts: readonly Conflict[];
}

/**
 * Fits operations to what the kernel has: an add of what exists becomes an update, or nothing if it is equal; a delete
 * of what is gone, or of a place that another has taken, becomes nothing. No key may come twice.
 */
export function fitToKernel(
  operations: readonly Operation[],
  table: ReadonlyMap<PolicyKey, TablePolicy>,
): Fitted {
  const conflicts: Conflict[] = [];
  const left = operations.flatMap((operation): Operation[] => {
    const { op, policy } = operation;
    const present = table.get(policyKey(policy));
    const own = present === undefined ? undefined : ownPolicy(present);
    if (op === 'delete') {
      return own === undefined ? [] : [{ op, policy: own }];
    }
    if (present === undefined) {
      return [{ op: 'add', policy }];
    }
    if (own === undefined) {
      conflicts.push({ desired: policy, foreign: present });
      return [];
    }
    const asWanted = samePolicy(policy, own) && (op === 'add' || policy.template.spi === own.template.spi);
    return asWanted ? [] : [{ op: 'update', policy, previous: own }];
  });
  return { operations: left, conflicts };
}
