import type { CachePeer, NodeCache } from '../cache/schema.ts';
import { familyOf, hostCidr, tunnelEnds } from './address.ts';
import { configName, PODS_CHILD, type Side } from './child.ts';
import { PRIORITY_FIRST } from './identity.ts';
import { type PortSelector, portSelectors } from './selectors.ts';
import type { ServedAddress } from './served.ts';
import type { Direction, Selector, XfrmPolicy } from './types.ts';

/** The cache contradicts itself: a peer lacks the reqid of a child. Nothing may be laid from such a cache. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

/** DESIGN 4, rows of node N: this node serves the address, every peer's pods are its clients. */
export function servingPolicies(cache: NodeCache, served: ServedAddress): XfrmPolicy[] {
  const family = familyOf(served.address);
  const own = hostCidr(served.address);
  const selectors = portSelectors(served.ports, family);
  if (selectors.length === 0) {
    return [];
  }
  return cache.peers.flatMap((peer) => {
    const lay = policyMaker(cache, peer, 'ingress');
    const inbound = served.host ? 'in' : 'fwd';
    return cidrsOf(peer.podCidrs, family).flatMap((cidr) =>
      selectors.flatMap((port) => [
        ...lay(port, 'out', { src: own, dst: cidr, proto: port.proto, sport: port.port, dport: 0 }),
        ...lay(port, inbound, { src: cidr, dst: own, proto: port.proto, sport: 0, dport: port.port }),
      ]),
    );
  });
}

/** DESIGN 4, rows of node Q: this node's pods are clients of a protected address on a peer. */
export function clientPolicies(cache: NodeCache): XfrmPolicy[] {
  const peers = new Map(cache.peers.map((peer) => [peer.name, peer]));
  return cache.endpoints.flatMap((endpoint) => {
    const peer = peers.get(endpoint.node);
    if (peer === undefined) {
      return [];
    }
    const family = familyOf(endpoint.address);
    const remote = hostCidr(endpoint.address);
    const lay = policyMaker(cache, peer, 'egress');
    return cidrsOf(cache.node.podCidrs, family).flatMap((cidr) =>
      portSelectors(endpoint.ports, family).flatMap((port) => [
        ...lay(port, 'out', { src: cidr, dst: remote, proto: port.proto, sport: 0, dport: port.port }),
        ...lay(port, 'fwd', { src: remote, dst: cidr, proto: port.proto, sport: port.port, dport: 0 }),
      ]),
    );
  });
}

/** All pod-to-pod traffic: one pair of policies for each pair of pod CIDRs, whatever the pods. */
export function meshPolicies(cache: NodeCache): XfrmPolicy[] {
  const everything: PortSelector = { proto: 'any', port: 0, child: PODS_CHILD };
  return cache.peers.flatMap((peer) => {
    const lay = policyMaker(cache, peer, 'ingress');
    return cache.node.podCidrs.flatMap((own) =>
      cidrsOf(peer.podCidrs, familyOf(own)).flatMap((cidr) => [
        ...lay(everything, 'out', { src: own, dst: cidr, proto: 'any', sport: 0, dport: 0 }),
        ...lay(everything, 'fwd', { src: cidr, dst: own, proto: 'any', sport: 0, dport: 0 }),
      ]),
    );
  });
}

type PolicyMaker = (port: PortSelector, dir: Direction, selector: Selector) => XfrmPolicy[];

/**
 * Makes the policies towards one peer. Two policies of one node overlap only where both ends of a flow are protected, one as
 * served here and one as served there; the priority lets the child of the node whose name sorts first win,
 * which both nodes know.
 */
function policyMaker(cache: NodeCache, peer: CachePeer, side: Side): PolicyMaker {
  const ends = tunnelEnds(cache.node.addresses, peer.addresses);
  if (ends === undefined) {
    return () => [];
  }
  const serving = side === 'ingress' ? cache.node.name : peer.name;
  const other = side === 'ingress' ? peer.name : cache.node.name;
  const priority = PRIORITY_FIRST + (serving < other ? 0 : 1);
  return (port, dir, selector) => {
    const config = configName(port.child, side);
    const reqid = peer.reqids[config];
    if (reqid === undefined) {
      throw new PlanError(`node cache: peers[${peer.name}].reqids has no ${config}`);
    }
    const [src, dst] = dir === 'out' ? [ends.own, ends.peer] : [ends.peer, ends.own];
    return [{ dir, selector, priority, template: { src, dst, reqid, level: 'required' } }];
  };
}

function cidrsOf(cidrs: readonly string[], family: number): string[] {
  return cidrs.filter((cidr) => familyOf(cidr) === family);
}
