import { policyKey } from '../../plan/ours.ts';
import type { PolicyKey, XfrmPolicy } from '../../plan/types.ts';
import type { Conflict } from '../error.ts';
import { isPlain, type KernelPolicy, ownPolicy, samePolicy } from '../kernel-policy.ts';
import type { Operation } from '../operation.ts';

export interface PolicyDiff {
  /**
   * Adds and then updates, both in the order of the desired policies, then deletes in the order of the
   * kernel.
   */
  readonly operations: readonly Operation[];
  readonly conflicts: readonly Conflict[];
}

/**
 * Collects a difference: takes the kernel's policies one by one as they are read, and keeps none that is as
 * desired.
 */
export interface Differ {
  see(policy: KernelPolicy): void;
  result(): PolicyDiff;
}

/**
 * The operations that make the kernel's policies of ours equal to `desired`; none if they are equal already.
 * Another's policy stays; where it has the key of a desired policy, that is a conflict.
 */
export function createDiffer(desired: ReadonlyMap<PolicyKey, XfrmPolicy>): Differ {
  const missing = new Map(desired);
  const updates = new Map<PolicyKey, Operation>();
  const conflicts = new Map<PolicyKey, Conflict>();
  const deletes: Operation[] = [];
  const inOrder = <T>(found: ReadonlyMap<PolicyKey, T>): T[] =>
    found.size === 0 ? [] : [...desired.keys()].flatMap((key) => found.get(key) ?? []);
  return {
    see(present) {
      if (present.kind !== 'policy' || !isPlain(present)) {
        return;
      }
      const key = policyKey(present);
      const policy = desired.get(key);
      const previous = ownPolicy(present);
      if (policy === undefined) {
        if (previous !== undefined) {
          deletes.push({ op: 'delete', policy: previous });
        }
        return;
      }
      missing.delete(key);
      if (previous === undefined) {
        conflicts.set(key, { desired: policy, foreign: present });
      } else if (!samePolicy(policy, previous) || policy.template.spi !== previous.template.spi) {
        updates.set(key, { op: 'update', policy, previous });
      }
    },
    result() {
      const adds = [...missing.values()].map((policy): Operation => ({ op: 'add', policy }));
      return { operations: [...adds, ...inOrder(updates), ...deletes], conflicts: inOrder(conflicts) };
    },
  };
}

/** The difference to a list of the kernel's policies. `desired` has no key twice. */
export function diffPolicies(desired: readonly XfrmPolicy[], kernel: readonly KernelPolicy[]): PolicyDiff {
  const differ = createDiffer(new Map(desired.map((policy) => [policyKey(policy), policy])));
  for (const policy of kernel) {
    differ.see(policy);
  }
  return differ.result();
}
