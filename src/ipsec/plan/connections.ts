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
  const select = createSelect(cache.nodeTraffic === true);
  const names = new Map(cache.children.map(({ name }) => [name, configsOf(name)]));
  return cache.peers
    .flatMap((peer) => connection(cache, peer, { select, names }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What the connections have in common. Each text and list is made once, however many peers there are. */
interface Shared {
  readonly select: Select;
  /** The configurations of each child, by its name. */
  readonly names: ReadonlyMap<string, readonly { readonly side: Side; readonly name: string }[]>;
}

function configsOf(child: string): { readonly side: Side; readonly name: string }[] {
  const sides = isWide(child) ? (['ingress'] as const) : (['egress', 'ingress'] as const);
  return sides.map((side) => ({ side, name: configName(child, side) }));
}

/**
 * How coarse the traffic selectors of a connection are. No traffic depends on it: the label decides which
 * child is meant, and policies decide what goes through it and what is let in.
 */
type Coarseness = 'ports' | 'protocols' | 'families';
const COARSER = ['protocols', 'families'] as const satisfies readonly Coarseness[];

function connection(cache: NodeCache, peer: CachePeer, { select, names }: Shared): ConnectionConfig[] {
  const ends = tunnelEnds(cache.node.addresses, peer.addresses);
  if (ends === undefined) {
    return [];
  }
  const childrenAt = (coarseness: Coarseness): ChildConfig[] =>
    cache.children.flatMap((child) =>
      (names.get(child.name) ?? []).flatMap(({ side, name }) => {
        const reqid = peer.reqids[name];
        if (reqid === undefined) {
          return [];
        }
        const [server, client] = side === 'ingress' ? [cache.node, peer] : [peer, cache.node];
        const served = select(child, server, coarseness);
        const clients = select({ proto: child.proto, ports: EVERY }, client, coarseness);
        return [
          side === 'ingress'
            ? { name, reqid, localTs: served, remoteTs: clients }
            : { name, reqid, localTs: clients, remoteTs: served },
        ];
      }),
    );
  const letters = cache.node.name.length + peer.name.length;
  let children = childrenAt('ports');
  for (const coarseness of COARSER) {
    if (bytesOf(children, letters) > CONNECTION_BYTES) {
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

function bytesOf(children: readonly ChildConfig[], letters: number): number {
  return children.reduce(
    (sum, { name, localTs, remoteTs }) =>
      [...localTs, ...remoteTs].reduce(
        (all, text) => all + text.length + SELECTOR_BYTES,
        sum + CHILD_BYTES + 2 * name.length + letters,
      ),
    0,
  );
}

/** The selectors at one node, of what a child carries. */
type Select = (
  child: Pick<CacheChild, 'proto' | 'ports'>,
  node: CacheNode,
  coarseness: Coarseness,
) => readonly string[];

const EVERY: number[] = [];

/** Selects for many children: those with equal selectors get the same list. */
function createSelect(nodeTraffic: boolean): Select {
  const known = new WeakMap<CacheNode, Map<string, readonly string[]>>();
  const texts = new WeakMap<object, string>();
  const textOf = (ports: readonly number[]): string => {
    const text = texts.get(ports) ?? ports.join();
    texts.set(ports, text);
    return text;
  };
  return (child, node, coarseness) => {
    const lists = known.get(node) ?? new Map<string, readonly string[]>();
    known.set(node, lists);
    const key = `${coarseness} ${child.proto} ${textOf(child.ports)}`;
    const { podCidrs, addresses } = node;
    const list =
      lists.get(key) ??
      selectorsOf(child, nodeTraffic ? [...podCidrs, ...addresses.map(hostCidr)] : podCidrs, coarseness);
    lists.set(key, list);
    return list;
  };
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
