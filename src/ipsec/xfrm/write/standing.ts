import { policyKey } from '../../plan/ours.ts';
import type { XfrmPolicy } from '../../plan/types.ts';
import { type Iproute2, runIp } from '../iproute2.ts';
import { countPolicies, listPolicies } from '../kernel.ts';
import { type KernelPolicy, ownPolicies } from '../kernel-policy.ts';
import { parsePolicies } from '../parse/policy.ts';
import { renderQuestion } from './render.ts';

/** So few are asked for one by one without a look at how many there are. */
const FEW = 64;
/** What a question costs, in entries of a listing. */
const QUESTION_COST = 3;

/**
 * The policies of ours that stand in the kernel at the keys of these. Costs what these are, in a table of 100,000 as well.
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
  /** All that the kernel has, whoever wrote it; absent if it was asked for these alone. */
  readonly table?: readonly KernelPolicy[];
}

/**
 * As `standingPolicies`, with what was read for it.
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

/** Undefined if one is not there: `ip` goes no further. */
async function askFor(
  iproute2: Iproute2,
  policies: readonly XfrmPolicy[],
): Promise<KernelPolicy[] | undefined> {
  const input = policies.map((policy) => `${renderQuestion(policy)}\n`).join('');
  const result = await runIp(iproute2, { args: ['-batch', '-'], input });
  return result.exitCode === 0 ? parsePolicies(result.stdout) : undefined;
}
