import { hostCidr } from '../../ip/family.ts';
import type { CacheChild, CacheNode, CachePeer, NodeCache } from '../../rundir/schema.ts';
import { carriesEveryPort, configName, isWide, type Side } from './child.ts';
import { tunnelEnds } from './ends.ts';
import type { ChildConfig, ConnectionConfig } from './types.ts';

/** Every connection of ours in charon has a name that begins with this; no other connection is touched. */
export const CONNECTION_PREFIX = 'k8s-node-';

/** The IKE identity of a node, as its certificate's subject. */
export function ikeId(node: string): string {
  return `CN=ipsec-${node}`;
}

/**
 * One connection for each peer, sorted by name; none while nothing is protected. No connection names a pod,
 * so pods come and go without any IKE message.
 */
export function planConnections(cache: NodeCache): ConnectionConfig[] {
  if (cache.children.length === 0) {
    return [];
  }
  return cache.peers.flatMap((peer) => connection(cache, peer)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function connection(cache: NodeCache, peer: CachePeer): ConnectionConfig[] {
  const ends = tunnelEnds(cache.node.addresses, peer.addresses);
  if (ends === undefined) {
    return [];
  }
  return [
    {
      name: `${CONNECTION_PREFIX}${peer.name}`,
      peer: peer.name,
      localAddrs: [ends.own],
      remoteAddrs: [ends.peer],
      localId: ikeId(cache.node.name),
      remoteId: ikeId(peer.name),
      children: cache.children.flatMap((child) =>
        isWide(child.name)
          ? childConfig(cache, peer, child, 'ingress')
          : [...childConfig(cache, peer, child, 'egress'), ...childConfig(cache, peer, child, 'ingress')],
      ),
    },
  ];
}

function childConfig(cache: NodeCache, peer: CachePeer, child: CacheChild, side: Side): ChildConfig[] {
  const name = configName(child.name, side);
  const reqid = peer.reqids[name];
  if (reqid === undefined) {
    return [];
  }
  const served = (cidrs: readonly string[]): string[] =>
    cidrs.flatMap((cidr) =>
      carriesEveryPort(child)
        ? clients([cidr])
        : child.ports.map((port) => `${cidr}[${child.proto}/${port}]`),
    );
  const clients = (cidrs: readonly string[]): string[] =>
    cidrs.map((cidr) => (child.proto === 'any' ? cidr : `${cidr}[${child.proto}]`));
  const within = ({ podCidrs, addresses }: CacheNode): string[] =>
    cache.nodeTraffic === true ? [...podCidrs, ...addresses.map(hostCidr)] : podCidrs;
  const [own, other] = [within(cache.node), within(peer)];
  return [
    side === 'ingress'
      ? { name, reqid, localTs: served(own), remoteTs: clients(other) }
      : { name, reqid, localTs: clients(own), remoteTs: served(other) },
  ];
}
