import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Attachment } from '../cache/attachment.ts';
import { deleteAttachment, readAttachments, writeAttachment } from '../cache/attachments.ts';
import { type LockOptions, withLock } from '../cache/lock.ts';
import type { NodeCache } from '../cache/schema.ts';
import { writeNodeCache } from '../cache/write.ts';
import type { Pins } from '../ipsec/charon/pins.ts';
import { applyOperations } from '../ipsec/xfrm/apply.ts';
import type { Iproute2 } from '../ipsec/xfrm/iproute2.ts';
import { listPolicies } from '../ipsec/xfrm/kernel.ts';
import { type Enforced, enforce } from './enforce.ts';

/** Waits without failing: an abort ends the wait. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

/** ADD and DEL hold the lock for milliseconds; a batch of 100,000 policies holds it for seconds. */
export const LOCK: LockOptions = { timeoutMs: 60_000, sleep, now: Date.now };

/** Writes the cache and brings the kernel in step, under the lock: an ADD sees the new cache, or we see its record. */
export async function enforceOnNode(
  runDir: string,
  iproute2: Iproute2,
  cache: NodeCache,
  { pins, log }: { readonly pins: Pins; readonly log: Logger },
): Promise<Enforced> {
  return await withLock(runDir, LOCK, async () => {
    writeNodeCache(runDir, cache);
    return await enforce(
      cache,
      {
        listPolicies: () => listPolicies(iproute2),
        apply: async (operations) => void (await applyOperations(iproute2, operations)),
        readAttachments: () => currentAttachments(runDir, log),
        writeAttachment: (attachment) => writeAttachment(runDir, attachment),
      },
      pins,
    );
  });
}

/** All records; where two hold one address, the earlier one's DEL was lost and it is dropped. */
function currentAttachments(runDir: string, log: Logger): { records: Attachment[]; complete: boolean } {
  const { records, problems } = readAttachments(runDir);
  for (const problem of problems) {
    log.warn({ problem }, 'attachment record not read');
  }
  const holders = new Map<string, Attachment>();
  for (const record of [...records].sort((a, b) => a.createdAt - b.createdAt)) {
    for (const address of record.addresses) {
      holders.set(address, record);
    }
  }
  const current = records.filter((record) => {
    const holds = record.addresses.every((address) => holders.get(address) === record);
    if (!holds) {
      log.warn(
        { containerId: record.containerId, addresses: record.addresses },
        'address in use by a later pod',
      );
      deleteAttachment(runDir, record);
    }
    return holds;
  });
  return { records: current, complete: problems.length === 0 };
}
