import { policyKey } from '../ipsec/plan/ours.ts';
import { planPolicies } from '../ipsec/plan/plan.ts';
import type { PolicyKey } from '../ipsec/plan/types.ts';
import { diffPolicies } from '../ipsec/xfrm/compare/diff.ts';
import type { NodeView } from './view.ts';

/** The plan compared with the kernel. `unknown`: one of the two could not be had. */
export type Comparison =
  | { readonly kind: 'unknown'; readonly reason: string }
  | {
      readonly kind: 'compared';
      readonly planned: number;
      /** Planned, but not in the kernel. */
      readonly missing: readonly PolicyKey[];
      /** In the kernel with another template or priority than planned. */
      readonly different: readonly PolicyKey[];
      /** Ours in the kernel, but not planned. */
      readonly surplus: readonly PolicyKey[];
      /** Planned, but the kernel has a policy that is not ours with that direction and selector. */
      readonly conflicts: readonly PolicyKey[];
    };

/** Plans what the node should have, and compares. Never throws. */
export function comparePlan({ cache, kernel, attachments }: NodeView): Comparison {
  if (cache.kind !== 'ok') {
    return { kind: 'unknown', reason: `no plan without node cache: ${cache.message}` };
  }
  if (kernel.kind !== 'ok') {
    return { kind: 'unknown', reason: kernel.message };
  }
  try {
    const desired = planPolicies(cache.value, attachments.records);
    const { operations, conflicts } = diffPolicies(desired, kernel.policies);
    const keys = (op: string): PolicyKey[] =>
      operations.filter((operation) => operation.op === op).map(({ policy }) => policyKey(policy));
    return {
      kind: 'compared',
      planned: desired.length,
      missing: keys('add'),
      different: keys('update'),
      surplus: keys('delete'),
      conflicts: conflicts.map((conflict) => policyKey(conflict.desired)),
    };
  } catch (error) {
    return { kind: 'unknown', reason: `no plan: ${(error as Error).message}` };
  }
}

/** True if the kernel has exactly what is planned. */
export function inStep(comparison: Comparison): boolean {
  return (
    comparison.kind === 'compared' &&
    [comparison.missing, comparison.different, comparison.surplus, comparison.conflicts].every(
      (keys) => keys.length === 0,
    )
  );
}
