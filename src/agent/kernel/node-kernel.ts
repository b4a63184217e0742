/**
 * The XFRM policies of this node. NodeKernel is the whole of this room to the others: bring the kernel to
 * what is wanted, ask whether anybody else was at it, ask whether each policy is as it was laid. Behind it:
 * enforce.ts compares or applies what has changed, in-force.ts remembers what the kernel has, records.ts
 * reads what ADD did, inspect.ts looks now and then. It imports ipsec and rundir, and nothing of the agent's
 * other rooms.
 */

import type { Logger } from 'pino';
import type { StreamingIproute2 } from '../../ipsec/xfrm/iproute2.ts';
import { countPolicies, type EachOptions, eachPolicy } from '../../ipsec/xfrm/kernel.ts';
import { applyCounted } from '../../ipsec/xfrm/write/apply.ts';
import { deleteAttachment, writeAttachment } from '../../rundir/attachments.ts';
import { checkNodeCache } from '../../rundir/check.ts';
import { bootIdOf } from '../../rundir/gate.ts';
import { type LockOptions, withLock } from '../../rundir/lock/lock.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { writeNodeCache } from '../../rundir/write.ts';
import { sleep } from '../../util/sleep.ts';
import { uptime } from '../../util/uptime.ts';
import { createEnforcer, type Enforced, type EnforceOptions } from './enforce.ts';
import { createRecordReader, type RememberedRecord, type RememberedRecords } from './records.ts';

/**
 * ADD and DEL hold the lock for milliseconds; a batch of 100,000 policies holds it for seconds. A lock that
 * another program left is taken over after a minute in which it has been watched.
 */
export const LOCK: LockOptions = { timeoutMs: 90_000, sleep, uptime };

/** The kernel's policies of this node, and all that is remembered of them. */
export interface NodeKernel {
  /**
   * Writes the node cache and brings the kernel in step with it, under the lock: an ADD that comes meanwhile
   * either reads the new cache, or its record is seen here. The first cache since the machine booted is
   * written once the kernel has it: until then ADD attaches nothing. Throws CacheError with
   * nothing written, PlanError, XfrmError, LockError.
   */
  enforce(cache: NodeCache, options: EnforceOptions): Promise<Enforced>;
  /**
   * False if the kernel has another number of policies than after `enforce`: somebody else was at it. Throws
   * XfrmError.
   */
  undisturbed(): Promise<boolean>;
  /** False if one of the kernel's policies is not as it was laid. Holds up nobody. Throws XfrmError. */
  intact(): Promise<boolean>;
}

/** Reading at leisure takes a quarter of the time. */
const LEISURE: EachOptions = { pause: (tookMs) => sleep(3 * tookMs), timeoutMs: 300_000 };

/**
 * How long it takes from ADD's policies in the kernel until the agent has read ADD's record; milliseconds.
 */
const GRACE_MS = 2_000;

/** `initial`: the cache that an agent before this one has left. */
export function createNodeKernel(
  runDir: string,
  iproute2: StreamingIproute2,
  log: Logger,
  initial: NodeCache | null = null,
): NodeKernel {
  const bootId = bootIdOf();
  /** Whether the kernel was brought in step with any cache since the machine booted. */
  let open = initial?.bootId === bootId;
  const read = createRecordReader(runDir);
  const enforcer = createEnforcer({
    eachPolicy: (take, pace) => eachPolicy(iproute2, take, pace === undefined ? {} : LEISURE),
    grace: () => sleep(GRACE_MS),
    apply: async (operations, isolation) => {
      const applied = await applyCounted(iproute2, operations, isolation);
      counted = applied.count;
      return applied.refused;
    },
    uptime,
    readAttachments: () => currentRecords(runDir, read(), log),
    writeAttachment: (attachment) => writeAttachment(runDir, attachment),
  });
  /** How many policies the kernel had after the last `enforce`, whoever wrote them. */
  let count: number | undefined;
  /** As the batch of the current pass has counted them. */
  let counted: number | undefined;
  const pass = async (cache: NodeCache, options: EnforceOptions): Promise<Enforced> => {
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
        checkNodeCache(cache);
        if (open) {
          writeNodeCache(runDir, { ...cache, bootId });
        }
        const enforced = await pass(cache, options);
        if (!open) {
          writeNodeCache(runDir, { ...cache, bootId });
          open = true;
        }
        const { compared, added, deleted, byPlugin } = enforced;
        const expected = before === undefined ? undefined : before + added - deleted + byPlugin;
        return compared || (expected !== undefined && count === expected)
          ? enforced
          : await pass(cache, { ...options, trusting: false });
      }),
    undisturbed: async () => count !== undefined && (await countPolicies(iproute2)) === count,
    intact: enforcer.intact,
  };
}

/** All records. Where two hold one address, the earlier one's DEL was lost, and its record is deleted. */
function currentRecords(
  runDir: string,
  { records, problems }: RememberedRecords,
  log: Logger,
): { records: RememberedRecord[]; complete: boolean } {
  for (const problem of problems) {
    log.warn({ problem }, 'attachment record not read');
  }
  const holders = new Map<string, RememberedRecord>();
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
