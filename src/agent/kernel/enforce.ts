import type { Pins } from '../../ipsec/charon/sas/pins.ts';
import { policyKey } from '../../ipsec/plan/ours.ts';
import { planAttachment, planPieces, sameGround } from '../../ipsec/plan/plan.ts';
import { attachedAddresses } from '../../ipsec/plan/served.ts';
import { createDiffer } from '../../ipsec/xfrm/compare/diff.ts';
import { XfrmError } from '../../ipsec/xfrm/error.ts';
import { type KernelPolicy, ownPolicy } from '../../ipsec/xfrm/kernel-policy.ts';
import { inOrder, type Operation } from '../../ipsec/xfrm/operation.ts';
import type { Isolation, Refusal } from '../../ipsec/xfrm/write/apply.ts';
import type { Attachment } from '../../rundir/attachment.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { changeOf, type InForce, type Wanted, wholePlan } from './in-force.ts';
import { digestOf, type RememberedRecord, sameDigest } from './records.ts';
import { createRefused } from './refused.ts';

/** The kernel and the attachment records, as the enforcer reaches them. */
export interface EnforceEffects {
  /**
   * Shows each policy of the kernel. `at leisure`: slowly, so that everything else of the node comes first.
   */
  eachPolicy(take: (policy: KernelPolicy) => void, pace?: 'at leisure'): Promise<void>;
  /** Waits as long as a step may take that was under way. */
  grace(): Promise<void>;
  /**
   * Applies all operations or none, except for those that are refused and that `isolation` lets be left out.
   */
  apply(operations: readonly Operation[], isolation?: Isolation): Promise<readonly Refusal[]>;
  /** Milliseconds of a clock that nobody can set. */
  uptime(): number;
  /**
   * A record that has not changed is the same object. `complete` is false if one could not be read: nobody
   * can tell what it protects, so nothing may be deleted.
   */
  readAttachments(): { readonly records: readonly RememberedRecord[]; readonly complete: boolean };
  writeAttachment(attachment: Attachment): void;
}

export interface Enforced {
  /** Policies that the plan has. */
  readonly planned: number;
  readonly added: number;
  readonly updated: number;
  readonly deleted: number;
  /** Keys of planned policies whose place in the kernel is taken by a policy that is not ours. */
  readonly conflicts: readonly string[];
  /** What the kernel does not take, as `ip` was told, and what it said. All else is in force. */
  readonly refused: readonly string[];
  /** Whether the kernel was compared with the plan as a whole. */
  readonly compared: boolean;
  /** Policies that ADD has laid since the last step, less those that DEL has removed. */
  readonly byPlugin: number;
}

export interface EnforceOptions {
  readonly pins?: Pins;
  /** True: take for granted that the kernel has what was laid last, and apply only what has changed since. */
  readonly trusting?: boolean;
}

/**
 * Brings the kernel in step with the plan, then the attachment records in step with the kernel. A second call
 * changes nothing.
 */
export interface Enforcer {
  /** The caller holds the lock. Throws PlanError, XfrmError; the kernel is then as it was before. */
  enforce(cache: NodeCache, options?: EnforceOptions): Promise<Enforced>;
  /**
   * Whether the kernel has each policy as it was laid. Needs no lock; steps go on meanwhile. Throws
   * XfrmError.
   */
  intact(): Promise<boolean>;
}

/** How often the kernel is read at most, while steps go on changing what was off. */
const READINGS = 5;

/** It remembers what it laid: a change of a few of 100,000 policies costs no look at the others. */
export function createEnforcer(effects: EnforceEffects): Enforcer {
  let inForce: InForce | undefined;
  const refused = createRefused(effects.uptime);
  const checked = new WeakMap<RememberedRecord, { readonly cache: NodeCache; readonly addresses: string }>();

  const change = async (wanted: Wanted): Promise<Enforced | undefined> => {
    const found = inForce === undefined ? undefined : changeOf(inForce, wanted);
    if (found === undefined) {
      return undefined;
    }
    try {
      await effects.apply(inOrder(found.operations));
    } catch (error) {
      if (error instanceof XfrmError) {
        // The kernel has other policies than we remember: compare() will see.
        return undefined;
      }
      throw error;
    }
    inForce = found.done();
    return {
      planned: inForce.keys.size,
      ...count(found.operations),
      conflicts: [],
      refused: [],
      compared: false,
      byPlugin: found.byPlugin,
    };
  };

  const compare = async (wanted: Wanted, complete: boolean): Promise<Enforced> => {
    inForce = undefined;
    const next = wholePlan(wanted);
    const differ = createDiffer(next.policies);
    await effects.eachPolicy(differ.see);
    const { operations: all, conflicts } = differ.result();
    const whole = inOrder(complete ? all : all.filter(({ op }) => op !== 'delete'));
    const { operations, isolation } = refused.sift(whole);
    const refusals = await effects.apply(operations, isolation).catch(refused.fail);
    const { done, texts } = refused.note({ whole, operations, refusals, planned: next.policies });
    inForce = complete && conflicts.length === 0 && texts.length === 0 ? next.inForce : undefined;
    return {
      planned: next.policies.size,
      ...count(done),
      conflicts: conflicts.map((conflict) => policyKey(conflict.desired)),
      refused: texts,
      compared: true,
      byPlugin: 0,
    };
  };

  /** True if the record had to be written anew. */
  const keepRecord = (cache: NodeCache, record: RememberedRecord): boolean => {
    const addresses = JSON.stringify(attachedAddresses(cache, record));
    const before = checked.get(record);
    checked.set(record, { cache, addresses });
    if (before?.addresses === addresses && sameGround(before.cache, cache)) {
      return false;
    }
    const policies = planAttachment(cache, record);
    if (sameDigest(digestOf(policies), record.digest)) {
      return false;
    }
    checked.delete(record);
    const { digest: _, ...rest } = record;
    effects.writeAttachment({ ...rest, policies });
    return true;
  };

  /**
   * Keeps the policies that each record names equal to what is laid for it: DEL removes what it finds there.
   */
  const keepRecords = (cache: NodeCache, records: readonly RememberedRecord[]): void => {
    const written = records.map((record) => keepRecord(cache, record)).includes(true);
    if (written && inForce !== undefined) {
      const again = effects.readAttachments();
      inForce = again.complete ? { ...inForce, records: again.records } : undefined;
    }
  };

  const enforce = async (
    cache: NodeCache,
    { pins = new Map(), trusting = false }: EnforceOptions = {},
  ): Promise<Enforced> => {
    const { records, complete } = effects.readAttachments();
    const wanted = { cache, pins, records, pieces: planPieces(cache, records) };
    const enforced =
      (trusting && complete ? await change(wanted) : undefined) ?? (await compare(wanted, complete));
    keepRecords(cache, records);
    return enforced;
  };

  /**
   * A cell of the checksums that is off may be the work of an ADD or a step that is not done yet. If it is
   * off again in the next reading, and no step has changed it since, somebody else was at it.
   */
  const intact = async (): Promise<boolean> => {
    const suspects = new Set<number>();
    for (let reading = 1; reading <= READINGS; reading += 1) {
      const sums = inForce?.sums;
      if (sums === undefined) {
        return false;
      }
      const comparison = sums.compare();
      const see = (policy: KernelPolicy): void => {
        const own = ownPolicy(policy);
        if (own !== undefined) {
          comparison.see(own);
        }
      };
      await effects.eachPolicy(see, 'at leisure');
      if (inForce?.sums !== sums) {
        return inForce !== undefined;
      }
      const { off, changed } = comparison.result();
      if ([...off].some((cell) => suspects.has(cell))) {
        return false;
      }
      for (const cell of [...suspects].filter((suspect) => !changed(suspect))) {
        suspects.delete(cell);
      }
      for (const cell of off) {
        suspects.add(cell);
      }
      if (suspects.size === 0) {
        return true;
      }
      if (reading < READINGS) {
        await effects.grace();
      }
    }
    return false;
  };

  return { enforce, intact };
}

function count(operations: readonly Operation[]): Pick<Enforced, 'added' | 'updated' | 'deleted'> {
  const of = (op: Operation['op']): number => operations.filter((operation) => operation.op === op).length;
  return { added: of('add'), updated: of('update'), deleted: of('delete') };
}
