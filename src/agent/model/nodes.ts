import { parseNodes } from '../../cluster/nodes.ts';
import type { ClusterObjects, ObjectProblem } from '../../cluster/snapshot.ts';
import { rememberedAddress } from '../../ip/remembered.ts';
import { tunnelEnds } from '../../ipsec/plan/ends.ts';
import type { CacheNode, CachePeer, NodeCacheContent } from '../../rundir/schema.ts';
import { memoized, steady } from '../../util/memo.ts';
import { assignReqids } from './reqids.ts';

// What the model asks of the nodes. Results are remembered by the identity of the objects they are made from.

/** Names of the nodes that policies lead to. */
export const namesOf = memoized(
  (peers: readonly CachePeer[], unreachable: NonNullable<NodeCacheContent['unreachable']>) =>
    new Set([...peers, ...unreachable].map(({ name }) => name)),
);
/** Nodes whose pods have a place, whether a tunnel can lead there or not. */
export const locatedOf = memoized(
  (
    nodes: readonly CacheNode[],
    unreachable: NonNullable<NodeCacheContent['unreachable']>,
  ): readonly CacheNode[] =>
    unreachable.length === 0 ? nodes : [...nodes, ...unreachable.map((one) => ({ ...one, addresses: [] }))],
);
/** A problem for each peer that no tunnel can reach. */
export const unreachableFrom = memoized((node: CacheNode, peers: readonly CachePeer[]): ObjectProblem[] =>
  peers
    .filter((peer) => tunnelEnds(node.addresses, peer.addresses) === undefined)
    .map((peer) => ({
      where: `Node ${peer.name}`,
      message: `no address family in common with ${node.name} (${peer.addresses.join(', ')}): no tunnel, and nothing of a protected port goes there or comes from there`,
    })),
);
const sameNodes = steady<readonly CacheNode[]>();
const sameAddresses = steady<readonly string[]>();
/** Canonical addresses of Services, sorted. */
export const addressesOf = memoized((services: ClusterObjects['services']) =>
  sameAddresses(services.flatMap(({ spec }) => rememberedAddress(spec.clusterIP ?? '') ?? []).sort()),
);
/** The nodes as they can be read; `known`: those of the cache before. */
export const nodesOf = memoized(
  (
    nodes: ClusterObjects['nodes'],
    reader: string,
    serviceAddresses: readonly string[],
    blockAffinities: ClusterObjects['blockAffinities'] = [],
    ciliumNodes: ClusterObjects['ciliumNodes'] = [],
    ...known: readonly CacheNode[]
  ) => {
    const parsed = parseNodes(nodes, { blockAffinities, ciliumNodes, reader, serviceAddresses, known });
    return { ...parsed, nodes: sameNodes(parsed.nodes) };
  },
);

/**
 * The other nodes, with their reqids. `configs` has the names of child configurations, separated by spaces.
 * Returns `former` itself if the result is equal to it.
 */
export const peersOf = memoized(
  (
    nodes: readonly CacheNode[],
    nodeName: string,
    configs: string,
    former: CachePeer[] = [],
    departed: readonly CachePeer[] = [],
  ): CachePeer[] => {
    const others = nodes.filter(({ name }) => name !== nodeName);
    const reqids = assignReqids(
      others.map(({ name }) => name),
      configs === '' ? [] : configs.split(' '),
      new Map([...departed, ...former].map((peer) => [peer.name, peer.reqids])),
    );
    const peers = others.map((peer) => ({ ...peer, reqids: reqids.get(peer.name) ?? {} }));
    return JSON.stringify(peers) === JSON.stringify(former) ? former : peers;
  },
);
