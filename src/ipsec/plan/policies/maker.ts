import { type Family, familyOf } from '../../../ip/address.ts';
import { hostCidr } from '../../../ip/cidr.ts';
import type { CachePeer, NodeCache } from '../../../rundir/schema.ts';
import { configName, type Side } from '../child.ts';
import { tunnelEnds } from '../ends.ts';
import { isIcmp, PRIORITY_FIRST, REQID_ANY } from '../ours.ts';
import type { Direction, Selector, XfrmPolicy } from '../types.ts';
import type { PortSelector } from './selectors.ts';

/** The cache contradicts itself: a peer lacks the reqid of a child. Nothing may be laid from such a cache. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

/**
 * Kinds of policies of ours, as offsets of priority, the strongest first: one for a protected address comes before those for whole pod
 * CIDRs, and those before what `strict` refuses.
 */
export const KINDS = { address: 0, unlisted: 2, unlistedAnswer: 3, own: 4, stranger: 5 } as const;

/** A peer, or one that has left: then no SA will ever be there, and what is sent to it goes nowhere. */
export type PlannedPeer = CachePeer & { readonly until?: number };

/** Peers, and those that have left. */
export function peersOf({ peers, departed = [] }: NodeCache): PlannedPeer[] {
  return [...peers, ...departed];
}

/** What the policies towards one peer have in common. */
export interface Towards {
  readonly peer: PlannedPeer;
  readonly side: Side;
  readonly kind: 'address' | 'unlisted' | 'unlistedAnswer';
}

export type PolicyMaker = (port: PortSelector, dir: Direction, selector: Selector) => XfrmPolicy[];

/**
 * Makes the policies towards one peer. Two policies of protected addresses overlap only where both ends of a flow are protected, one as
 * served here and one as served there; the priority lets the child of the node whose name sorts first win,
 * which both nodes know.
 *
 * A port that is being enabled goes through three phases (DESIGN 4): in the first nothing is sent through it, until the last plaintext
 * is let in as well.
 */
export function policyMaker(cache: NodeCache, { peer, side, kind }: Towards): PolicyMaker {
  const ends = tunnelEnds(cache.node.addresses, peer.addresses);
  if (ends === undefined) {
    return () => [];
  }
  const serving = side === 'ingress' ? cache.node.name : peer.name;
  const other = side === 'ingress' ? peer.name : cache.node.name;
  const priority = PRIORITY_FIRST + KINDS[kind] + (kind === 'address' && serving > other ? 1 : 0);
  return (port, dir, selector) => {
    const config = configName(port.child, side);
    const reqid = peer.reqids[config];
    if (reqid === undefined && peer.until !== undefined) {
      return [];
    }
    if (reqid === undefined) {
      throw new PlanError(`node cache: peers[${peer.name}].reqids has no ${config}`);
    }
    if (dir === 'out') {
      const template = { src: ends.own, dst: ends.peer, reqid, level: 'required' } as const;
      return port.phase === 'accept' ? [] : [{ dir, selector, priority, template }];
    }
    // Which child carries ICMP changes with the ports around it, and not on both nodes at once.
    const theirs = isIcmp(port.proto) ? REQID_ANY : reqid;
    const level = port.phase === 'require' && kind === 'address' ? 'required' : 'use';
    return [{ dir, selector, priority, template: { src: ends.peer, dst: ends.own, reqid: theirs, level } }];
  };
}

/** Where the clients on a peer are: its pods, and with `nodeTraffic` the node itself. */
export function clientsOn(cache: NodeCache, peer: CachePeer, family: Family): string[] {
  const own = cache.nodeTraffic === true ? peer.addresses.map(hostCidr) : [];
  return cidrsOf([...peer.podCidrs, ...own], family);
}

/**
 * This node's clients, and the directions in which they get their answers: what the node has masqueraded is answered to its address, and
 * forwarded.
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

/** Of this node's pods, those of before included. */
export function ownCidrs({ node }: NodeCache): string[] {
  return [...node.podCidrs, ...(node.formerCidrs ?? []).map(({ cidr }) => cidr)];
}

export function cidrsOf(cidrs: readonly string[], family: Family): string[] {
  return cidrs.filter((cidr) => familyOf(cidr) === family);
}
