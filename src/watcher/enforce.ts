import type { Attachment } from '../cache/attachment.ts';
import type { NodeCache } from '../cache/schema.ts';
import type { Pins } from '../ipsec/charon/pins.ts';
import { checksum, plus } from '../ipsec/checksum.ts';
import { createDiffer } from '../ipsec/diff.ts';
import { policyKey } from '../ipsec/identity.ts';
import { planAttachment, planPieces, sameGround } from '../ipsec/plan.ts';
import { attachedAddresses } from '../ipsec/served.ts';
import { XfrmError } from '../ipsec/xfrm/error.ts';
import { type KernelPolicy, ownPolicy } from '../ipsec/xfrm/kernel-policy.ts';
import type { Operation } from '../ipsec/xfrm/operation.ts';
import { changeOf, type Laid, lay, type Wanted } from './laid.ts';
import { digestOf, type KnownAttachment, sameDigest } from './records.ts';

/** The kernel and the attachment records, as the enforcer reaches them. */
export interface EnforceEffects {
  eachPolicy(take: (policy: KernelPolicy) => void): Promise<void>;
  /** Applies all operations or none. */
  apply(operations: readonly Operation[]): Promise<void>;
  /**
   * A record that has not changed is the same object. `complete` is false if one could not be read: what it protects is not known, so nothing
   * may be deleted.
   */
  readAttachments(): { readonly records: readonly KnownAttachment[]; readonly complete: boolean };
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
  /** Whether the kernel was compared with the plan as a whole. */
  readonly compared: boolean;
  /** Policies that ADD has laid since the last step, less those that DEL has removed. */
  readonly byPlugin: number;
}

export interface EnforceOptions {
  readonly pins?: Pins;
  /** Trust what was laid last, and apply only what has changed since. */
  readonly trusting?: boolean;
}

/** Brings the kernel in step with the plan, then the attachment records in step with the kernel. A second call changes nothing. */
export interface Enforcer {
  /** The caller holds the lock. Throws PlanError, XfrmError; the kernel is then as it was before. */
  enforce(cache: NodeCache, options?: EnforceOptions): Promise<Enforced>;
  /**
   * Whether the kernel has what was laid, each policy as it was laid. Holds up nobody and needs no lock; undefined if `enforce` ran meanwhile.
   * Throws XfrmError.
   */
  intact(): Promise<boolean | undefined>;
}

/** Remembers what it laid: a change that concerns a few of 100,000 policies costs no look at the others. */
export function createEnforcer(effects: EnforceEffects): Enforcer {
  let laid: Laid | undefined;
  let [begun, ended] = [0, 0];
  const checked = new WeakMap<KnownAttachment, { readonly cache: NodeCache; readonly addresses: string }>();

  const change = async (wanted: Wanted): Promise<Enforced | undefined> => {
    const found = laid === undefined ? undefined : changeOf(laid, wanted);
    if (found === undefined) {
      return undefined;
    }
    try {
      await effects.apply(found.operations);
    } catch (error) {
      if (error instanceof XfrmError) {
        // The kernel is not what we took it for.
        return undefined;
      }
      throw error;
    }
    laid = found.settle();
    return {
      planned: laid.keys.size,
      ...count(found.operations),
      conflicts: [],
      compared: false,
      byPlugin: found.byPlugin,
    };
  };

  const compare = async (wanted: Wanted, complete: boolean): Promise<Enforced> => {
    laid = undefined;
    const next = lay(wanted);
    const differ = createDiffer(next.policies);
    await effects.eachPolicy(differ.see);
    const { operations: all, conflicts } = differ.result();
    const operations = complete ? all : all.filter(({ op }) => op !== 'delete');
    await effects.apply(operations);
    laid = complete && conflicts.length === 0 ? next.laid : undefined;
    return {
      planned: next.policies.size,
      ...count(operations),
      conflicts: conflicts.map((conflict) => policyKey(conflict.desired)),
      compared: true,
      byPlugin: 0,
    };
  };

  /** Whether it had to be written anew. */
  const keepRecord = (cache: NodeCache, record: KnownAttachment): boolean => {
    const addresses = JSON.stringify(attachedAddresses(cache, record));
    const before = checked.get(record);
    checked.set(record, { cache, addresses });
    if (before?.addresses === addresses && sameGround(before.cache, cache)) {
      return false;
    }
    const policies = planAttachment(cache, record);
    if (sameDigest(digestOf(policies), record.laid)) {
      return false;
    }
    checked.delete(record);
    const { laid: _, ...rest } = record;
    effects.writeAttachment({ ...rest, policies });
    return true;
  };

  /** What DEL finds in them must be what is laid for them. */
  const keepRecords = (cache: NodeCache, records: readonly KnownAttachment[]): void => {
    const written = records.map((record) => keepRecord(cache, record)).includes(true);
    if (written && laid !== undefined) {
      const again = effects.readAttachments();
      laid = again.complete ? { ...laid, records: again.records } : undefined;
    }
  };

  const step = async (
    cache: NodeCache,
    { pins = new Map(), trusting = false }: EnforceOptions,
  ): Promise<Enforced> => {
    const { records, complete } = effects.readAttachments();
    const wanted = { cache, pins, records, pieces: planPieces(cache, records) };
    const enforced =
      (trusting && complete ? await change(wanted) : undefined) ?? (await compare(wanted, complete));
    keepRecords(cache, records);
    return enforced;
  };

  return {
    async enforce(cache, options = {}) {
      begun += 1;
      try {
        return await step(cache, options);
      } finally {
        ended += 1;
      }
    },
    async intact() {
      const before = ended;
      let sum = 0;
      await effects.eachPolicy((policy) => {
        const own = ownPolicy(policy);
        sum = own === undefined ? sum : plus(sum, checksum(own));
      });
      return begun === before ? sum === laid?.sum : undefined;
    },
  };
}

function count(operations: readonly Operation[]): Pick<Enforced, 'added' | 'updated' | 'deleted'> {
  const of = (op: Operation['op']): number => operations.filter((operation) => operation.op === op).length;
  return { added: of('add'), updated: of('update'), deleted: of('delete') };
}
