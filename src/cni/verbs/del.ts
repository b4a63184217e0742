import type { Attachment } from '../../cache/attachment.ts';
import { deleteAttachment, readAttachment } from '../../cache/attachments.ts';
import { policyKey } from '../../ipsec/identity.ts';
import { applyOperations } from '../../ipsec/xfrm/apply.ts';
import { listPolicies, ownPolicies } from '../../ipsec/xfrm/kernel.ts';
import type { Call } from '../call.ts';
import { checkNetns, iproute2Of, locked } from '../effects.ts';

/**
 * CNI SPEC 1.1.0 DEL. Works from the record alone, and may come twice, after a failed ADD, without the namespace, the cache or prevResult. A
 * record that cannot be read is dropped: a retry would not mend it, and the agent removes what the plan does not hold.
 */
export async function del(call: Call): Promise<string> {
  const { config, variables } = call;
  checkNetns(variables.netns, false);
  const read = readAttachment(config.runDir, variables.containerId, variables.ifName);
  if (read.kind !== 'missing') {
    await locked(call, async () => {
      const current = readAttachment(config.runDir, variables.containerId, variables.ifName);
      if (current.kind === 'ok') {
        await detach(call, current.value);
      } else {
        deleteAttachment(config.runDir, variables);
      }
    });
  }
  return '';
}

/**
 * Takes the policies of an attachment out of the kernel, then its record. The kernel deletes by selector alone, so it is asked first what
 * stands there: a policy that is not ours stays. The caller holds the lock.
 */
export async function detach(call: Call, record: Attachment): Promise<void> {
  if (record.policies.length > 0) {
    const iproute2 = iproute2Of(call);
    const keys = new Set(record.policies.map(policyKey));
    const present = ownPolicies(await listPolicies(iproute2)).filter((policy) => keys.has(policyKey(policy)));
    await applyOperations(
      iproute2,
      present.map((policy) => ({ op: 'delete', policy })),
    );
  }
  deleteAttachment(call.config.runDir, record);
}
