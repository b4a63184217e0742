/**
 * The room `ipsec/plan/policies` makes XFRM policies from parts of the node cache, one file for each kind:
 * single protected addresses, unlisted endpoints, the mesh, ICMP, strangers. This file has what they share:
 * priorities, templates, and whose CIDRs are meant. The room is pure like the rest of `ipsec/plan`, imports
 * nothing but that room and the cache's types, and plan.ts alone imports it. Rows, order and phases are
 * explained in docs/design.md.
 */

import { type Family, familyOf, hostCidr } from '../../../ip/family.ts';
import type { CachePeer, NodeCache } from '../../../rundir/schema.ts';
import { configName, type Side } from '../child.ts';
import { tunnelEnds } from '../ends.ts';
import { PRIORITY_FIRST, REQID_ANY, REQID_STRANGER } from '../ours.ts';
import type { Direction, Selector, Template, XfrmPolicy } from '../types.ts';
import type { PortSelector } from './selectors.ts';

/** The cache contradicts itself: a peer has no reqid for a child. Nothing may be laid from such a cache. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

/**
 * Kinds of our policies, as offsets of priority, the strongest first (docs/design.md, Priorities). A policy
 * for one protected address comes before policies for whole pod CIDRs, and these come before what `strict`
 * refuses.
 */
export const KINDS = { address: 0, unlisted: 2, unlistedAnswer: 3, own: 4, stranger: 5 } as const;

/**
 * A peer, or a departed peer, which has `until`. A departed peer never has an SA, so what is sent to it goes
 * nowhere.
 */
export type PlannedPeer = CachePeer & { readonly until?: number };

/** Peers, departed ones and unreachable ones. */
export function peersOf(cache: NodeCache): PlannedPeer[] {
  return [...presentPeers(cache), ...(cache.departed ?? [])];
}

/** Peers, and nodes to which no tunnel leads, as their address is not known. */
export function presentPeers({ peers, unreachable = [] }: NodeCache): PlannedPeer[] {
  return unreachable.length === 0
    ? peers
    : [...peers, ...unreachable.map((node) => ({ ...node, addresses: [], reqids: {} }))];
}

export function isDeparted(peer: PlannedPeer): boolean {
  return peer.until !== undefined;
}

/** What the policies towards one peer have in common. */
export interface Towards {
  readonly peer: PlannedPeer;
  readonly side: Side;
  readonly kind: 'address' | 'unlisted' | 'unlistedAnswer';
}

export type PolicyMaker = (port: PortSelector, dir: Direction, selector: Selector) => XfrmPolicy[];

/**
 * Makes the policies towards one peer. What is sent goes through one child. What comes in may come through
 * any child of the peer (REQID_ANY): which child carries a port changes with the entries around it, and not
 * on both nodes at once. The template's ends still bind it to that one peer.
 *
 * Two policies for protected addresses overlap only where both ends of a flow are protected: one policy for
 * the address that is served here, one for the address that is served there. Priority then decides for the
 * child of the serving node whose name sorts first, which both nodes know.
 *
 * The phase of a port decides what a policy lets through (docs/design.md, Phases): in `accept` nothing is
 * sent as ESP, so there is no `out` policy; before `require` plaintext is let in as well. Where no tunnel
 * leads to the peer, the template is one that no SA satisfies: nothing is sent there in the clear.
 */
export function policyMaker(cache: NodeCache, { peer, side, kind }: Towards): PolicyMaker {
  const ends = tunnelEnds(cache.node.addresses, peer.addresses);
  const serving = side === 'ingress' ? cache.node.name : peer.name;
  const other = side === 'ingress' ? peer.name : cache.node.name;
  const priority = PRIORITY_FIRST + KINDS[kind] + (kind === 'address' && serving > other ? 1 : 0);
  const inbound = (port: PortSelector): Template['level'] =>
    port.phase === 'require' && kind === 'address' ? 'required' : 'use';
  if (ends === undefined) {
    const [own = ''] = cache.node.addresses;
    return (port, dir, selector) => {
      const level = dir === 'out' ? 'required' : inbound(port);
      const template = { src: own, dst: own, reqid: REQID_STRANGER, level } as const;
      return dir === 'out' && port.phase === 'accept' ? [] : [{ dir, selector, priority, template }];
    };
  }
  return (port, dir, selector) => {
    const config = configName(port.child, side);
    // What is sent to a departed peer must find no SA, even by a child that is younger than the departure.
    const reqid = peer.reqids[config] ?? (isDeparted(peer) ? REQID_STRANGER : undefined);
    if (reqid === undefined) {
      throw new PlanError(`node cache: peers[${peer.name}].reqids has no ${config}`);
    }
    if (dir === 'out') {
      const template = { src: ends.own, dst: ends.peer, reqid, level: 'required' } as const;
      return port.phase === 'accept' ? [] : [{ dir, selector, priority, template }];
    }
    const template = { src: ends.peer, dst: ends.own, reqid: REQID_ANY, level: inbound(port) };
    return [{ dir, selector, priority, template }];
  };
}

/** CIDRs of the clients on a peer: its pods and, with `nodeTraffic`, the node itself. */
export function clientsOn(cache: NodeCache, peer: CachePeer, family: Family): string[] {
  const own = cache.nodeTraffic === true ? peer.addresses.map(hostCidr) : [];
  return cidrsOf([...peer.podCidrs, ...own], family);
}

/**
 * CIDRs of this node's clients, and the directions in which answers to them arrive. An answer to a node
 * address comes `in`; an answer to a pod whose packets were masqueraded arrives at the node address and is
 * then forwarded, so node addresses need `fwd` too.
 */
export function clientsHere(
  cache: NodeCache,
  family: Family,
): { readonly cidr: string; readonly inbound: readonly ('fwd' | 'in')[] }[] {
  const own = cache.nodeTraffic === true ? cache.node.addresses.map(hostCidr) : [];
  return [
    ...cidrsOf(ownCidrs(cache), family).map((cidr) => ({ cidr, inbound: ['fwd'] as const })),
    ...cidrsOf(own, family).map((cidr) => ({ cidr, inbound: ['in', 'fwd'] as const })),
  ];
}

/** Pod CIDRs of this node, with its former ones: pods keep their addresses until they end. */
export function ownCidrs({ node }: NodeCache): string[] {
  return [...node.podCidrs, ...(node.formerCidrs ?? []).map(({ cidr }) => cidr)];
}

export function cidrsOf(cidrs: readonly string[], family: Family): string[] {
  return cidrs.filter((cidr) => familyOf(cidr) === family);
}
