import { policyKey } from '../identity.ts';
import type { XfrmPolicy } from '../types.ts';
import { type Iproute2, runIp } from './iproute2.ts';
import { countPolicies, listPolicies } from './kernel.ts';
import { ownPolicies } from './kernel-policy.ts';
import { parsePolicies } from './parse-policy.ts';
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
): Promise<XfrmPolicy[]> {
  const asking = policies.length <= FEW || (await countPolicies(iproute2)) > QUESTION_COST * policies.length;
  const found = (asking ? await askFor(iproute2, policies) : undefined) ?? (await listPolicies(iproute2));
  const keys = new Set(policies.map(policyKey));
  return ownPolicies(found).filter((policy) => keys.has(policyKey(policy)));
}

/** Undefined if one is not there: `ip` goes no further. */
async function askFor(
  iproute2: Iproute2,
  policies: readonly XfrmPolicy[],
): Promise<ReturnType<typeof parsePolicies> | undefined> {
  const input = policies.map((policy) => `${renderQuestion(policy)}\n`).join('');
  const result = await runIp(iproute2, { args: ['-batch', '-'], input });
  return result.exitCode === 0 ? parsePolicies(result.stdout) : undefined;
}
