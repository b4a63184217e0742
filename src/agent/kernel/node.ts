import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { StreamingIproute2 } from '../../ipsec/xfrm/iproute2.ts';
import { countPolicies, type EachOptions, eachPolicy } from '../../ipsec/xfrm/kernel.ts';
import { applyCounted } from '../../ipsec/xfrm/write/apply.ts';
import { deleteAttachment, writeAttachment } from '../../rundir/attachments.ts';
import { type LockOptions, withLock } from '../../rundir/lock.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { writeNodeCache } from '../../rundir/write.ts';
import { createEnforcer, type Enforced, type EnforceOptions } from './enforce.ts';
import { createRecordReader, type KnownAttachment, type KnownAttachments } from './records.ts';

/** Waits without failing: an abort ends the wait. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

/** ADD and DEL hold the lock for milliseconds; a batch of 100,000 policies holds it for seconds. */
export const LOCK: LockOptions = { timeoutMs: 60_000, sleep, now: Date.now };

export interface NodeEnforcer {
  /** Writes the cache and brings the kernel in step, under the lock: an ADD sees the new cache, or we see its record. */
  enforce(cache: NodeCache, options: EnforceOptions): Promise<Enforced>;
  /** False if the kernel has not as many policies as when `enforce` ended: somebody else was at it. Throws XfrmError. */
  undisturbed(): Promise<boolean>;
  /** False if one of the kernel's policies is not as it was laid. Holds up nobody. Throws XfrmError. */
  intact(): Promise<boolean>;
}

/** Reading at leisure takes a quarter of the time. */
const LEISURE: EachOptions = { pause: (tookMs) => sleep(3 * tookMs), timeoutMs: 300_000 };

/** From ADD's policies in the kernel to the agent's knowledge of them. */
const GRACE_MS = 2_000;

export function createNodeEnforcer(runDir: string, iproute2: StreamingIproute2, log: Logger): NodeEnforcer {
  const read = createRecordReader(runDir);
  const enforcer = createEnforcer({
    eachPolicy: (take, pace) => eachPolicy(iproute2, take, pace === undefined ? {} : LEISURE),
    grace: () => sleep(GRACE_MS),
    apply: async (operations) => {
      counted = (await applyCounted(iproute2, operations)).count;
    },
    readAttachments: () => currentAttachments(runDir, read(), log),
    writeAttachment: (attachment) => writeAttachment(runDir, attachment),
  });
  let count: number | undefined;
  /** By the batch of the current step. */
  let counted: number | undefined;
  const step = async (cache: NodeCache, options: EnforceOptions): Promise<Enforced> => {
    counted = undefined;
    const enforced = await enforcer.enforce(cache, options);
    count = counted ?? (await countPolicies(iproute2).catch(() => undefined));
    return enforced;
  };
  return {
    enforce: (cache, options) =>
      withLock(runDir, LOCK, async () => {
        const before = count;
        count = undefined;
        writeNodeCache(runDir, cache);
        const enforced = await step(cache, options);
        const { compared, added, deleted, byPlugin } = enforced;
        const expected = before === undefined ? undefined : before + added - deleted + byPlugin;
        return compared || (expected !== undefined && count === expected)
          ? enforced
          : await step(cache, { ...options, trusting: false });
      }),
    undisturbed: async () => count !== undefined && (await countPolicies(iproute2)) === count,
    intact: enforcer.intact,
  };
}

/** All records; where two hold one address, the earlier one's DEL was lost and it is dropped. */
function currentAttachments(
  runDir: string,
  { records, problems }: KnownAttachments,
  log: Logger,
): { records: KnownAttachment[]; complete: boolean } {
  for (const problem of problems) {
    log.warn({ problem }, 'attachment record not read');
  }
  const holders = new Map<string, KnownAttachment>();
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
