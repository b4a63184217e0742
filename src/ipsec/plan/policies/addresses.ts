import { familyOf, hostCidr } from '../../../ip/family.ts';
import type { NodeCache, RemoteEndpoint } from '../../../rundir/schema.ts';
import { childOrder } from '../child.ts';
import { EVERY_PORT } from '../ports.ts';
import type { ServedAddress } from '../served.ts';
import type { XfrmPolicy } from '../types.ts';
import { clientsHere, clientsOn, peersOf, policyMaker, presentPeers } from './maker.ts';
import { portSelectors } from './selectors.ts';
import { strangerPolicies } from './strict.ts';

/**
 * Policies of the serving node (docs/design.md, Policies, row by row): this node serves the address, and the
 * pods of every peer are its clients. Throws PlanError.
 */
export function servingPolicies(cache: NodeCache, served: ServedAddress): XfrmPolicy[] {
  const family = familyOf(served.address);
  const own = hostCidr(served.address);
  const selectors = portSelectors(served.ports, family, childOrder(cache.children));
  if (selectors.length === 0) {
    return [];
  }
  const inbound = served.host ? 'in' : 'fwd';
  const towardsPeers = peersOf(cache).flatMap((peer) => {
    const make = policyMaker(cache, { peer, side: 'ingress', kind: 'address' });
    return clientsOn(cache, peer, family).flatMap((cidr) =>
      selectors.flatMap((port) => [
        ...make(port, 'out', { src: own, dst: cidr, proto: port.proto, sport: port.port, dport: EVERY_PORT }),
        ...make(port, inbound, {
          src: cidr,
          dst: own,
          proto: port.proto,
          sport: EVERY_PORT,
          dport: port.port,
        }),
      ]),
    );
  });
  return [...towardsPeers, ...strangerPolicies(cache, served, selectors)];
}

/**
 * Returns a function that makes the policies of a client node (docs/design.md, Policies, row by row): this
 * node's pods are clients of a protected address on a peer. The function throws PlanError.
 */
export function clientPlanner(cache: NodeCache): (endpoint: RemoteEndpoint) => XfrmPolicy[] {
  const peers = new Map(presentPeers(cache).map((peer) => [peer.name, peer]));
  const order = childOrder(cache.children);
  return (endpoint) => {
    const peer = peers.get(endpoint.node);
    if (peer === undefined) {
      return [];
    }
    const family = familyOf(endpoint.address);
    const remote = hostCidr(endpoint.address);
    const make = policyMaker(cache, { peer, side: 'egress', kind: 'address' });
    return clientsHere(cache, family).flatMap(({ cidr, inbound }) =>
      portSelectors(endpoint.ports, family, order).flatMap((port) => [
        ...make(port, 'out', {
          src: cidr,
          dst: remote,
          proto: port.proto,
          sport: EVERY_PORT,
          dport: port.port,
        }),
        ...inbound.flatMap((dir) =>
          make(port, dir, { src: remote, dst: cidr, proto: port.proto, sport: port.port, dport: EVERY_PORT }),
        ),
      ]),
    );
  };
}
