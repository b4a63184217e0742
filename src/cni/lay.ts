import { policyKey } from '../ipsec/plan/ours.ts';
import type { XfrmPolicy } from '../ipsec/plan/types.ts';
import { XfrmError } from '../ipsec/xfrm/error.ts';
import { addPolicies } from '../ipsec/xfrm/write/apply.ts';
import { removePolicies } from '../ipsec/xfrm/write/remove.ts';
import type { Attachment } from '../rundir/attachment.ts';
import { deleteAttachment, readHolders, writeAttachment } from '../rundir/attachments.ts';
import type { Call } from './call.ts';
import { iproute2Of } from './effects.ts';

/**
 * Lays the policies of a record and writes the record. The caller holds the lock.
 *
 * The record is written first: a process that dies between the two steps leaves a record of what may be in
 * the kernel, never policies without a record. Earlier holders of the addresses have lost them (their DEL did
 * not come). Their policies that the new record does not have are removed last, so that nothing is
 * unprotected in between.
 *
 * Throws XfrmError, after `giveUp` has put the records in order, and what the file system throws.
 */
export async function lay(call: Call, record: Attachment): Promise<void> {
  const earlier = readHolders(call.config.runDir, record);
  writeAttachment(call.config.runDir, record);
  if (record.policies.length > 0) {
    try {
      await addPolicies(iproute2Of(call), record.policies);
    } catch (error) {
      await giveUp(call, record, { earlier, error });
      throw error;
    }
  }
  for (const { policies, ...holder } of earlier) {
    const kept = new Set(record.policies.map(policyKey));
    await remove(
      call,
      policies.filter((policy) => !kept.has(policyKey(policy))),
    );
    if (!sameAttachment(holder, record)) {
      deleteAttachment(call.config.runDir, holder);
    }
  }
}

/**
 * Takes the policies of an attachment out of the kernel, then deletes its record. The caller holds the lock.
 */
export async function detach(call: Call, record: Attachment): Promise<void> {
  await remove(call, record.policies);
  deleteAttachment(call.config.runDir, record);
}

async function remove(call: Call, policies: readonly XfrmPolicy[]): Promise<void> {
  if (policies.length > 0) {
    await removePolicies(iproute2Of(call), policies);
  }
}

interface Failed {
  readonly earlier: readonly Attachment[];
  readonly error: unknown;
}

/**
 * Puts the records in order after a batch failed. If the batch was undone, what was in force before is in
 * force again, and gets its record back. If it was not undone (`interrupted`, `undo-failed`), policies may
 * stand in the kernel: the record stays for DEL, unless nobody held the addresses before and the policies can
 * be removed now.
 */
async function giveUp(call: Call, record: Attachment, { earlier, error }: Failed): Promise<void> {
  const reason = error instanceof XfrmError ? error.failure.reason : '';
  const previous = earlier.find((holder) => sameAttachment(holder, record));
  if (reason !== 'interrupted' && reason !== 'undo-failed') {
    if (previous === undefined) {
      deleteAttachment(call.config.runDir, record);
    } else {
      writeAttachment(call.config.runDir, previous);
    }
  } else if (earlier.length === 0) {
    await detach(call, record).catch(() => undefined);
  }
}

type AttachmentId = Pick<Attachment, 'containerId' | 'ifName'>;

function sameAttachment(a: AttachmentId, b: AttachmentId): boolean {
  return a.containerId === b.containerId && a.ifName === b.ifName;
}
