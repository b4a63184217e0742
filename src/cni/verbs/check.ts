import { policyKey } from '../../ipsec/plan/ours.ts';
import { samePolicy } from '../../ipsec/xfrm/kernel-policy.ts';
import { standingPolicies } from '../../ipsec/xfrm/write/standing.ts';
import { readAttachment } from '../../rundir/attachments.ts';
import type { Call } from '../call.ts';
import { checkNetns, iproute2Of, locked } from '../effects.ts';
import { CniError, CODE } from '../error.ts';
import { attachedAddresses } from '../prev-result.ts';

/**
 * CNI SPEC 1.1.0 CHECK: there is a record, it has the addresses of prevResult, and the kernel has its
 * policies. Throws CniError 102 otherwise.
 */
export async function check(call: Call): Promise<string> {
  const { config, variables } = call;
  checkNetns(variables, true);
  const addresses = attachedAddresses(config.prevResult, variables.ifName);
  if ((variables.args.get('K8S_POD_NAME') ?? '') !== '') {
    await locked(call, () => compare(call, addresses));
  }
  return '';
}

async function compare(call: Call, addresses: readonly string[]): Promise<void> {
  const { config, variables } = call;
  const read = readAttachment(config.runDir, variables.containerId, variables.ifName);
  if (read.kind !== 'ok') {
    throw new CniError(CODE.notInForce, `attachment record: ${read.message}`);
  }
  const record = read.value;
  if ([...record.addresses].sort().join() !== [...addresses].sort().join()) {
    const recorded = record.addresses.join(', ');
    throw new CniError(
      CODE.notInForce,
      `prevResult.ips: ${addresses.join(', ')}, but the record of ADD has ${recorded}`,
    );
  }
  if (record.policies.length === 0) {
    return;
  }
  const standing = await standingPolicies(iproute2Of(call), record.policies);
  const kernel = new Map(standing.map((policy) => [policyKey(policy), policy]));
  const missing = record.policies.filter((policy) => {
    const present = kernel.get(policyKey(policy));
    return present === undefined || !samePolicy(policy, present);
  });
  if (missing.length > 0) {
    const keys = missing.map(policyKey);
    throw new CniError(
      CODE.notInForce,
      `${missing.length} of ${record.policies.length} policies are not in the kernel as ADD laid them`,
      keys.slice(0, 5).join('; '),
    );
  }
}
