import type { NodeCache } from '../cache/schema.ts';
import { planConnections } from './connections.ts';
import { icmpPolicies } from './icmp.ts';
import { policyKey } from './identity.ts';
import { clientPolicies, meshPolicies, servingPolicies } from './policies.ts';
import { attachedAddresses, localAddresses, type PlannedAttachment } from './served.ts';
import type { Plan, XfrmPolicy } from './types.ts';
import { unlistedPolicies } from './unlisted.ts';

export { PlanError } from './policy-maker.ts';
export type { PlannedAttachment } from './served.ts';

/**
 * The XFRM policies for one attachment: what ADD lays before the pod's first packet (DESIGN 4, rows of node N).
 * Empty if the pod backs no protected service. Throws PlanError.
 */
export function planAttachment(cache: NodeCache, attachment: PlannedAttachment): XfrmPolicy[] {
  return cache.mesh
    ? []
    : attachedAddresses(cache, attachment).flatMap((served) => servingPolicies(cache, served));
}

/** The whole decision: what the kernel and charon of this node must hold. Throws PlanError. */
export function plan(cache: NodeCache, attachments: readonly PlannedAttachment[]): Plan {
  return { policies: planPolicies(cache, attachments), connections: planConnections(cache) };
}

/** Every XFRM policy of this node, sorted by key, each key once. Throws PlanError. */
export function planPolicies(cache: NodeCache, attachments: readonly PlannedAttachment[]): XfrmPolicy[] {
  const policies = cache.mesh
    ? [...icmpPolicies(cache), ...meshPolicies(cache)]
    : [
        ...icmpPolicies(cache),
        ...localAddresses(cache, attachments).flatMap((served) => servingPolicies(cache, served)),
        ...clientPolicies(cache),
        ...unlistedPolicies(cache),
      ];
  return sortByKey(policies);
}

/** Sorts by key and drops repetitions. */
function sortByKey(policies: readonly XfrmPolicy[]): XfrmPolicy[] {
  const byKey = new Map(policies.map((policy) => [policyKey(policy), policy]));
  return [...byKey.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, policy]) => policy);
}
