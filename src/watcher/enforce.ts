import type { Attachment } from '../cache/attachment.ts';
import type { NodeCache } from '../cache/schema.ts';
import { type Pins, pinned } from '../ipsec/charon/pins.ts';
import { diffPolicies } from '../ipsec/diff.ts';
import { policyKey } from '../ipsec/identity.ts';
import { planAttachment, planPolicies } from '../ipsec/plan.ts';
import type { XfrmPolicy } from '../ipsec/types.ts';
import type { KernelPolicy } from '../ipsec/xfrm/kernel-policy.ts';
import type { Operation } from '../ipsec/xfrm/operation.ts';

/** The kernel and the attachment records, as `enforce` reaches them. The caller holds the lock. */
export interface EnforceEffects {
  listPolicies(): Promise<readonly KernelPolicy[]>;
  /** Applies all operations or none. */
  apply(operations: readonly Operation[]): Promise<void>;
  /** `complete` is false if a record could not be read: what it protects is not known, so nothing may be deleted. */
  readAttachments(): { readonly records: readonly Attachment[]; readonly complete: boolean };
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
}

/**
 * Brings the kernel in step with the plan, then the attachment records in step with the kernel. A second call changes nothing.
 * Throws PlanError, XfrmError; the kernel is then as it was before.
 */
export async function enforce(
  cache: NodeCache,
  effects: EnforceEffects,
  pins: Pins = new Map(),
): Promise<Enforced> {
  const { records: attachments, complete } = effects.readAttachments();
  const desired = pinned(planPolicies(cache, attachments), pins);
  const { operations: all, conflicts } = diffPolicies(desired, await effects.listPolicies());
  const operations = complete ? all : all.filter(({ op }) => op !== 'delete');
  await effects.apply(operations);
  for (const attachment of attachments) {
    const policies = planAttachment(cache, attachment);
    if (!samePolicies(policies, attachment.policies)) {
      effects.writeAttachment({ ...attachment, policies });
    }
  }
  return {
    planned: desired.length,
    ...count(operations),
    conflicts: conflicts.map((conflict) => policyKey(conflict.desired)),
  };
}

function samePolicies(a: readonly XfrmPolicy[], b: readonly XfrmPolicy[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function count(operations: readonly Operation[]): Pick<Enforced, 'added' | 'updated' | 'deleted'> {
  const of = (op: Operation['op']): number => operations.filter((operation) => operation.op === op).length;
  return { added: of('add'), updated: of('update'), deleted: of('delete') };
}
