import { policyKey } from './identity.ts';
import type { PolicyKey, XfrmPolicy } from './types.ts';
import type { Conflict } from './xfrm/error.ts';
import { byKey, type KernelPolicy, ownPolicy, samePolicy } from './xfrm/kernel-policy.ts';
import type { Operation } from './xfrm/operation.ts';

export interface PolicyDiff {
  /** Adds, then updates, both in the order of `desired`, then deletes in the order of the kernel. */
  readonly operations: readonly Operation[];
  readonly conflicts: readonly Conflict[];
}

/**
 * What makes the kernel's policies of ours equal to `desired`, which holds no key twice. Nothing to do gives no
 * operation. Another's policy is left alone; where it holds the place of ours, that is a conflict.
 */
export function diffPolicies(desired: readonly XfrmPolicy[], kernel: readonly KernelPolicy[]): PolicyDiff {
  const table = byKey(kernel);
  const adds: Operation[] = [];
  const updates: Operation[] = [];
  const conflicts: Conflict[] = [];
  const wanted = new Set<PolicyKey>();
  for (const policy of desired) {
    const key = policyKey(policy);
    wanted.add(key);
    const present = table.get(key);
    if (present === undefined) {
      adds.push({ op: 'add', policy });
      continue;
    }
    const previous = ownPolicy(present);
    if (previous === undefined) {
      conflicts.push({ desired: policy, foreign: present });
    } else if (!samePolicy(policy, previous) || policy.template.spi !== previous.template.spi) {
      updates.push({ op: 'update', policy, previous });
    }
  }
  const deletes: Operation[] = [];
  for (const [key, present] of table) {
    const policy = wanted.has(key) ? undefined : ownPolicy(present);
    if (policy !== undefined) {
      deletes.push({ op: 'delete', policy });
    }
  }
  return { operations: [...adds, ...updates, ...deletes], conflicts };
}
