/**
 * The room `ipsec/plan` is the whole decision, as pure functions: which XFRM policies and which charon
 * connections this node must have, given its node cache and its attachment records. Plugin, agent and
 * `traplinectl` all use it. It has no effects and remembers nothing but results that depend on their
 * arguments alone. It imports types of src/rundir and helpers of src/util, and nothing of `node:`. Rooms that
 * read or change the kernel or charon import it, never the other way round. What it decides, and why:
 * docs/design.md.
 */

import type { NodeCache } from '../../rundir/schema.ts';
import { memoized } from '../../util/memo.ts';
import { textOf } from '../../util/text.ts';
import { planConnections } from './connections.ts';
import { policyKey } from './ours.ts';
import { clientPlanner, servingPolicies } from './policies/addresses.ts';
import { icmpPolicies } from './policies/icmp.ts';
import { lostPlanner } from './policies/lost.ts';
import { meshPolicies } from './policies/mesh.ts';
import { unlistedPolicies } from './policies/unlisted.ts';
import { attachedAddresses, localAddresses, type PlannedAttachment } from './served.ts';
import type { Plan, PolicyKey, XfrmPolicy } from './types.ts';

export { PlanError } from './policies/maker.ts';
export type { PlannedAttachment } from './served.ts';

/**
 * The XFRM policies for one attachment: ADD lays them before the pod sends its first packet (docs/design.md,
 * Policies, row by row). Empty if the pod backs no protected service. Throws PlanError.
 */
export function planAttachment(cache: NodeCache, attachment: PlannedAttachment): XfrmPolicy[] {
  return cache.mesh
    ? []
    : attachedAddresses(cache, attachment).flatMap((served) => servingPolicies(cache, served));
}

/** The whole decision: what the kernel and charon of this node must have. Throws PlanError. */
export function plan(cache: NodeCache, attachments: readonly PlannedAttachment[]): Plan {
  return { policies: planPolicies(cache, attachments), connections: planConnections(cache) };
}

/** Every XFRM policy of this node, sorted by key, each key once. Throws PlanError. */
export function planPolicies(cache: NodeCache, attachments: readonly PlannedAttachment[]): XfrmPolicy[] {
  return sortByKey(planPieces(cache, attachments).flatMap(({ make }) => make()));
}

/**
 * A part of the plan that comes and goes as a whole. Two pieces with the same key make the same policies as
 * long as both are cut from the same ground (`sameGround`).
 */
export interface PlanPiece {
  readonly key: string;
  /**
   * The address of this node whose policies the piece makes; absent in pieces that are about no single
   * address.
   */
  readonly served?: string;
  /** Throws PlanError. */
  readonly make: () => XfrmPolicy[];
}

/**
 * Matching compares every pod of the node with every entry. The result is kept for as long as none of them
 * has changed.
 */
const servedBy = memoized(
  (
    pods: NodeCache['pods'],
    entries: NodeCache['entries'],
    localEndpoints: NodeCache['localEndpoints'],
    children: NodeCache['children'],
    childSaScope: NodeCache['childSaScope'],
    ...attachments: readonly PlannedAttachment[]
  ) => localAddresses({ pods, entries, localEndpoints, children, childSaScope }, attachments),
);

/** The pieces of the whole plan; `decisive` tells which policy stays where two make one with the same key. */
export function planPieces(cache: NodeCache, attachments: readonly PlannedAttachment[]): PlanPiece[] {
  const icmp = { key: 'icmp', make: () => icmpPolicies(cache) };
  if (cache.mesh) {
    return [icmp, { key: 'mesh', make: () => meshPolicies(cache) }];
  }
  const clientPolicies = clientPlanner(cache);
  const lostPolicies = lostPlanner(cache);
  return [
    icmp,
    ...servedBy(
      cache.pods,
      cache.entries,
      cache.localEndpoints,
      cache.children,
      cache.childSaScope,
      ...attachments,
    ).map((served) => ({
      key: `served ${textOf(served)}`,
      served: served.address,
      make: () => servingPolicies(cache, served),
    })),
    ...cache.endpoints.map((endpoint) => ({
      key: `client ${textOf(endpoint)}`,
      make: () => clientPolicies(endpoint),
    })),
    ...(cache.lost ?? []).map((endpoint) => ({
      key: `lost ${textOf(endpoint)}`,
      make: () => lostPolicies(endpoint),
    })),
    { key: 'unlisted', make: () => unlistedPolicies(cache) },
  ];
}

/**
 * Cache fields whose change adds or removes plan pieces, but never changes what a piece with the same key
 * makes.
 */
const PIECES: ReadonlySet<string> = new Set([
  'generation',
  'writtenAt',
  'pods',
  'localEndpoints',
  'endpoints',
  'lost',
] satisfies (keyof NodeCache)[]);

/**
 * Whether pieces with the same key make the same policies with either cache. They do if every field that a
 * piece is cut from, the ground, is the same object in both.
 */
export function sameGround(a: NodeCache, b: NodeCache): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof NodeCache>;
  return [...names].every((name) => PIECES.has(name) || a[name] === b[name]);
}

/** Sorts by key. Of several policies with one key the decisive one stays. */
function sortByKey(policies: readonly XfrmPolicy[]): XfrmPolicy[] {
  const byKey = new Map<PolicyKey, XfrmPolicy>();
  for (const policy of policies) {
    const key = policyKey(policy);
    byKey.set(key, decisive(byKey.get(key), policy));
  }
  return [...byKey.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, policy]) => policy);
}

/**
 * Of two policies with one key the one that requires ESP, so that what is being enabled opens nothing that is
 * required; else the later one.
 */
export function decisive(earlier: XfrmPolicy | undefined, later: XfrmPolicy): XfrmPolicy {
  return earlier?.template.level === 'required' && later.template.level !== 'required' ? earlier : later;
}
