import { policyKey } from '../../plan/ours.ts';
import type { PolicyKey } from '../../plan/types.ts';
import type { Conflict } from '../error.ts';
import { ownPolicy, samePolicy, type TablePolicy } from '../kernel-policy.ts';
import type { Operation } from '../operation.ts';

/** The operations that are left to do, and where another's policy is in the way. */
export interface Fitted {
  readonly operations: readonly Operation[];
  readonly conflicts: readonly Conflict[];
}

/**
 * Fits operations to what the kernel has. An add of a policy that exists becomes an update, or nothing if the
 * two are equal; a delete of a policy that is gone, or whose key another's policy has now, becomes nothing.
 * No key may occur twice.
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
