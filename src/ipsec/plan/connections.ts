import { familyOf, hostCidr } from '../../ip/family.ts';
import type { CacheChild, CacheNode, CachePeer, NodeCache } from '../../rundir/schema.ts';
import { CONNECTION_BYTES, TRAFFIC_SELECTORS } from './bounds.ts';
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

/**
 * How coarse the traffic selectors of a connection are. No traffic depends on it: the label decides which
 * child is meant, and policies decide what goes through it and what is let in.
 */
type Coarseness = 'ports' | 'protocols' | 'families';
const COARSER = ['protocols', 'families'] as const satisfies readonly Coarseness[];

function connection(cache: NodeCache, peer: CachePeer): ConnectionConfig[] {
  const ends = tunnelEnds(cache.node.addresses, peer.addresses);
  if (ends === undefined) {
    return [];
  }
  const childrenAt = (coarseness: Coarseness): ChildConfig[] =>
    cache.children.flatMap((child) =>
      (isWide(child.name) ? (['ingress'] as const) : (['egress', 'ingress'] as const)).flatMap((side) =>
        childConfig(cache, peer, { child, side, coarseness }),
      ),
    );
  const names = cache.node.name.length + peer.name.length;
  let children = childrenAt('ports');
  for (const coarseness of COARSER) {
    if (bytesOf(children, names) > CONNECTION_BYTES) {
      children = childrenAt(coarseness);
    }
  }
  return [
    {
      name: `${CONNECTION_PREFIX}${peer.name}`,
      peer: peer.name,
      localAddrs: [ends.own],
      remoteAddrs: [ends.peer],
      localId: ikeId(cache.node.name),
      remoteId: ikeId(peer.name),
      children,
    },
  ];
}

/**
 * What all else of a child but names and selectors takes in VICI, and what a selector takes beside its text;
 * bytes, generously. The estimate is the same on both ends.
 */
const CHILD_BYTES = 640;
const SELECTOR_BYTES = 4;

function bytesOf(children: readonly ChildConfig[], names: number): number {
  return children.reduce(
    (sum, { name, localTs, remoteTs }) =>
      [...localTs, ...remoteTs].reduce(
        (all, text) => all + text.length + SELECTOR_BYTES,
        sum + CHILD_BYTES + 2 * name.length + names,
      ),
    0,
  );
}

interface SideOfChild {
  readonly child: CacheChild;
  readonly side: Side;
  readonly coarseness: Coarseness;
}

function childConfig(
  cache: NodeCache,
  peer: CachePeer,
  { child, side, coarseness }: SideOfChild,
): ChildConfig[] {
  const name = configName(child.name, side);
  const reqid = peer.reqids[name];
  if (reqid === undefined) {
    return [];
  }
  const within = ({ podCidrs, addresses }: CacheNode): string[] =>
    cache.nodeTraffic === true ? [...podCidrs, ...addresses.map(hostCidr)] : podCidrs;
  const served = (node: CacheNode): string[] => selectorsOf(child, within(node), coarseness);
  const clients = (node: CacheNode): string[] =>
    selectorsOf({ ...child, ports: [] }, within(node), coarseness);
  return [
    side === 'ingress'
      ? { name, reqid, localTs: served(cache.node), remoteTs: clients(peer) }
      : { name, reqid, localTs: clients(cache.node), remoteTs: served(peer) },
  ];
}

/**
 * The selectors of one side of a child. Where they would be more than fit, they name no ports, and if that is
 * not enough, no CIDRs but one for all addresses of each family.
 */
function selectorsOf(
  child: Pick<CacheChild, 'proto' | 'ports'>,
  cidrs: readonly string[],
  coarseness: Coarseness,
): string[] {
  if (coarseness === 'families' || cidrs.length > TRAFFIC_SELECTORS) {
    const families = [...new Set(cidrs.map(familyOf))].sort();
    return protocolOf(
      child,
      families.map((family) => (family === 4 ? '0.0.0.0/0' : '::/0')),
    );
  }
  const { proto, ports } = child;
  return carriesEveryPort(child) ||
    coarseness === 'protocols' ||
    cidrs.length * ports.length > TRAFFIC_SELECTORS
    ? protocolOf(child, cidrs)
    : cidrs.flatMap((cidr) => ports.map((port) => `${cidr}[${proto}/${port}]`));
}

function protocolOf({ proto }: Pick<CacheChild, 'proto'>, cidrs: readonly string[]): string[] {
  return cidrs.map((cidr) => (proto === 'any' ? cidr : `${cidr}[${proto}]`));
}
