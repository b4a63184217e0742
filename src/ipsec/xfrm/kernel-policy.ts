import { isOurs, policyKey } from '../plan/ours.ts';
import type { Direction, PolicyKey, Selector, XfrmPolicy } from '../plan/types.ts';

/** A template as the kernel lists it, whoever wrote it. */
export interface KernelTemplate {
  readonly src: string;
  readonly dst: string;
  /** `esp`, `ah`, `comp`, `route2`, `hao` */
  readonly proto: string;
  /** 0: any */
  readonly spi: number;
  readonly reqid: number;
  /** `tunnel`, `transport`, `beet`, ... */
  readonly mode: string;
  readonly level: 'required' | 'use';
}

/** A policy of the main table whose key has the shape of our keys, whoever wrote it. */
export interface TablePolicy {
  readonly kind: 'policy';
  readonly dir: Direction;
  readonly selector: Selector;
  readonly priority: number;
  readonly action: 'allow' | 'block';
  readonly templates: readonly KernelTemplate[];
  /** `localok`, `icmp` */
  readonly flags: readonly string[];
  readonly mark?: { readonly value: number; readonly mask: number };
  readonly ifId?: number;
  /** Printed with `-s` only. */
  readonly index?: number;
  /** At least one packet has matched the policy. Printed with `-s` only. */
  readonly used?: true;
}

/**
 * A policy that cannot be ours and cannot have the key of one of ours: a socket's, one of the sub table, one
 * with a selector that ours cannot have (another protocol, a device, an ICMP type), or one that `ip` prints
 * in a form that we do not know. `text` is what `ip` printed.
 */
export interface OpaquePolicy {
  readonly kind: 'opaque';
  readonly text: string;
}

export type KernelPolicy = TablePolicy | OpaquePolicy;

/** Another's policy that has the key of one of ours. */
export type ForeignPolicy = TablePolicy;

/**
 * The policy as one of ours, or undefined if it is not ours: a policy that differs from the shape of ours in
 * anything is another's.
 */
export function ownPolicy(policy: KernelPolicy): XfrmPolicy | undefined {
  if (policy.kind !== 'policy' || policy.action !== 'allow' || policy.flags.length > 0 || !isPlain(policy)) {
    return undefined;
  }
  const [template, ...rest] = policy.templates;
  if (template === undefined || rest.length > 0) {
    return undefined;
  }
  const { dir, selector, priority } = policy;
  if (!isOurs({ dir, selector, priority, template })) {
    return undefined;
  }
  // Only `out` policies are ever pinned to an SA.
  if (template.proto !== 'esp' || template.mode !== 'tunnel' || (dir !== 'out' && template.spi !== 0)) {
    return undefined;
  }
  const { src, dst, reqid, level, spi } = template;
  return {
    dir,
    selector,
    priority,
    template: { src, dst, reqid, level, ...(spi === 0 ? {} : { spi }) },
  };
}

/** The policies of ours among those of the kernel, in the kernel's order. */
export function ownPolicies(policies: readonly KernelPolicy[]): XfrmPolicy[] {
  return policies.flatMap((policy) => ownPolicy(policy) ?? []);
}

/**
 * The policy at each key. A policy with a mark or an interface has a key that ours never have, and is left
 * out.
 */
export function byKey(policies: readonly KernelPolicy[]): Map<PolicyKey, TablePolicy> {
  const table = new Map<PolicyKey, TablePolicy>();
  for (const policy of policies) {
    if (policy.kind === 'policy' && isPlain(policy)) {
      table.set(policyKey(policy), policy);
    }
  }
  return table;
}

/**
 * Whether two policies are equal apart from the SA that they are pinned to, which the callers compare where
 * it matters.
 */
export function samePolicy(a: XfrmPolicy, b: XfrmPolicy): boolean {
  return (
    policyKey(a) === policyKey(b) &&
    a.priority === b.priority &&
    a.template.src === b.template.src &&
    a.template.dst === b.template.dst &&
    a.template.reqid === b.template.reqid &&
    a.template.level === b.template.level
  );
}

/** Whether a policy has neither a mark nor an interface; these are a part of the key in the kernel. */
export function isPlain({ mark, ifId }: TablePolicy): boolean {
  return mark === undefined && ifId === undefined;
}
