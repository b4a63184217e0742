import { policyKey } from '../../plan/ours.ts';
import type { XfrmPolicy } from '../../plan/types.ts';
import { type Iproute2, runIp } from '../iproute2.ts';
import { countPolicies, listPolicies } from '../kernel.ts';
import { type KernelPolicy, ownPolicies } from '../kernel-policy.ts';
import { parsePolicies } from '../parse/policy.ts';
import { renderQuestion } from './render.ts';

/** Up to so many policies are asked for one by one, without counting first how many the kernel has. */
const FEW = 64;
/** Cost of asking for one policy, in entries of a listing. */
const QUESTION_COST = 3;

/**
 * Those policies of ours that the kernel has at the keys of the given ones. The cost depends on how many are
 * given, even in a table of 100,000.
 *
 * @throws XfrmError as `listPolicies`
 */
export async function standingPolicies(
  iproute2: Iproute2,
  policies: readonly XfrmPolicy[],
): Promise<readonly XfrmPolicy[]> {
  return (await lookUp(iproute2, policies)).standing;
}

export interface LookUp {
  readonly standing: readonly XfrmPolicy[];
  /**
   * All policies of the kernel, whoever wrote them; absent if the kernel was asked for the given ones alone.
   */
  readonly table?: readonly KernelPolicy[];
}

/**
 * As `standingPolicies`, with the listing if one was read.
 *
 * @throws XfrmError as `listPolicies`
 */
export async function lookUp(iproute2: Iproute2, policies: readonly XfrmPolicy[]): Promise<LookUp> {
  const keys = new Set(policies.map(policyKey));
  const standing = (found: readonly KernelPolicy[]): XfrmPolicy[] =>
    ownPolicies(found).filter((policy) => keys.has(policyKey(policy)));
  const asking = policies.length <= FEW || (await countPolicies(iproute2)) > QUESTION_COST * policies.length;
  const asked = asking ? await askFor(iproute2, policies) : undefined;
  if (asked !== undefined) {
    return { standing: standing(asked) };
  }
  const table = await listPolicies(iproute2);
  return { standing: standing(table), table };
}

/** Undefined if one of the policies does not exist: `ip` stops at it. */
async function askFor(
  iproute2: Iproute2,
  policies: readonly XfrmPolicy[],
): Promise<KernelPolicy[] | undefined> {
  const input = policies.map((policy) => `${renderQuestion(policy)}\n`).join('');
  const result = await runIp(iproute2, { args: ['-batch', '-'], input });
  return result.exitCode === 0 ? parsePolicies(result.stdout) : undefined;
}
