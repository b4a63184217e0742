import type { Attachment } from '../cache/attachment.ts';
import { deleteAttachment, readHolders, writeAttachment } from '../cache/attachments.ts';
import { policyKey } from '../ipsec/identity.ts';
import { addPolicies, applyOperations } from '../ipsec/xfrm/apply.ts';
import { XfrmError } from '../ipsec/xfrm/error.ts';
import { listPolicies, ownPolicies } from '../ipsec/xfrm/kernel.ts';
import type { Call } from './call.ts';
import { iproute2Of } from './effects.ts';

/**
 * Lays the policies of a record and writes the record. The record goes first: whoever dies between the two leaves a record of what may be in
 * the kernel, never policies without one. Whoever held the addresses before has lost them: their DEL did not come. The caller holds the lock.
 */
export async function lay(call: Call, record: Attachment): Promise<void> {
  for (const earlier of readHolders(call.config.runDir, record)) {
    await detach(call, earlier);
  }
  writeAttachment(call.config.runDir, record);
  if (record.policies.length === 0) {
    return;
  }
  try {
    await addPolicies(iproute2Of(call), record.policies);
  } catch (error) {
    await giveUp(call, record, error);
    throw error;
  }
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

/** After a batch that was not undone, policies may stand in the kernel: while they cannot be removed, the record stays for DEL. */
async function giveUp(call: Call, record: Attachment, error: unknown): Promise<void> {
  const reason = error instanceof XfrmError ? error.failure.reason : '';
  if (reason === 'interrupted' || reason === 'undo-failed') {
    await detach(call, record).catch(() => undefined);
  } else {
    deleteAttachment(call.config.runDir, record);
  }
}
