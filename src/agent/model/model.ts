/**
 * The room `agent/model` computes the content of the node cache from the objects of the cluster: peers,
 * reqids, children, endpoints and phases, as this one node has to know them. It is pure: it remembers
 * results, but these depend on its arguments alone. It imports src/cluster, pure helpers of `ipsec/plan`,
 * src/ip and the cache's types; the agent's loop calls it and writes the cache.
 */

import { parseNodes } from '../../cluster/nodes.ts';
import type { ClusterObjects, ObjectProblem } from '../../cluster/objects.ts';
import { resolveEntries } from '../../cluster/policies/entries.ts';
import { parseItems } from '../../cluster/policies/items.ts';
import { configNames, PODS_CHILD } from '../../ipsec/plan/child.ts';
import { tunnelEnds } from '../../ipsec/plan/ends.ts';
import type { CacheChild, CacheNode, CachePeer, NodeCacheContent } from '../../rundir/schema.ts';
import { memoized, steady } from '../../util/memo.ts';
import { buildChildren, unlistedPorts } from './children.ts';
import { departedPeers, formerCidrs } from './departed.ts';
import { placeEndpoints } from './endpoints.ts';
import { phaseLookup, phaseOfMesh } from './phases.ts';
import { podsOf, podsOfCluster } from './pods.ts';
import { assignReqids } from './reqids.ts';
import type { Model, ModelInput } from './types.ts';

/** This node is not among the nodes, or has no address or pod CIDR yet, so nothing can be decided. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

// Results are remembered by the identity of the objects they are made from, since nearly every event leaves
// nearly all objects as they were.
const clusterPods = memoized(podsOfCluster);
const ownPods = memoized(podsOf);
const sameChildren = steady<CacheChild[]>();
const namesOf = memoized((peers: readonly CachePeer[]) => new Set(peers.map(({ name }) => name)));
const unreachableFrom = memoized((node: CacheNode, peers: readonly CachePeer[]): ObjectProblem[] =>
  peers
    .filter((peer) => tunnelEnds(node.addresses, peer.addresses) === undefined)
    .map((peer) => ({
      where: `Node ${peer.name}`,
      message: `no address family in common with ${node.name} (${peer.addresses.join(', ')}): no tunnel, its traffic is not protected`,
    })),
);
const nodesOf = memoized(
  (
    nodes: ClusterObjects['nodes'],
    blockAffinities: ClusterObjects['blockAffinities'] = [],
    ciliumNodes: ClusterObjects['ciliumNodes'] = [],
  ) => parseNodes(nodes, { blockAffinities, ciliumNodes }),
);

/**
 * The other nodes, with their reqids. `configs` has the names of child configurations, separated by spaces.
 * Returns `former` itself if the result is equal to it.
 */
const peersOf = memoized(
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

const EVERYTHING: CacheChild = { name: PODS_CHILD, proto: 'any', ports: [] };

/**
 * Builds the content of the node cache: the cluster as one node has to know it. Pure: equal objects in any
 * order give equal content, so all nodes agree on children. Throws ModelError.
 */
export function buildNodeCache(input: ModelInput): Model {
  const { objects, nodeName, childSaScope } = input;
  const { nodes, problems: nodeProblems } = nodesOf(
    objects.nodes,
    objects.blockAffinities,
    objects.ciliumNodes,
  );
  const node = nodes.find(({ name }) => name === nodeName);
  if (node === undefined) {
    const why = nodeProblems.find(({ where }) => where === `Node ${nodeName}`)?.message ?? 'not there';
    throw new ModelError(`Node ${nodeName}: ${why}`);
  }
  const parsed = parseItems(objects.policies, input.knownItems);
  const {
    entries,
    mesh,
    problems: entryProblems,
  } = resolveEntries(parsed.items, objects, phaseLookup(input));
  const pods = ownPods(objects.pods, nodeName);
  const children = sameChildren(
    childrenOf(childSaScope, mesh, buildChildren(entries, clusterPods(objects.pods))),
  );
  const placed = placeEndpoints(mesh ? [] : entries, {
    nodes,
    nodeName,
    children: { childSaScope, children },
  });
  const configs = children.flatMap(({ name }) => configNames(name)).sort();
  const { previous } = input;
  const peers = peersOf(nodes, nodeName, configs.join(' '), previous?.peers, previous?.departed);
  const names = namesOf(peers);
  const meshPhase = mesh ? phaseOfMesh(parsed.items, input) : 'require';
  const unlisted =
    mesh || input.protectUnlisted === false
      ? []
      : unlistedPorts(entries, clusterPods(objects.pods), { childSaScope, children });
  const moved = formerCidrs(node, peers, input);
  const departed = departedPeers(peers, node, input);
  const content: NodeCacheContent = {
    childSaScope,
    mesh,
    ...(meshPhase === 'require' ? {} : { meshPhase }),
    ...(input.nodeTraffic === true ? { nodeTraffic: true } : {}),
    ...(input.strict === true ? { strict: true } : {}),
    node: moved.length === 0 ? node : { ...node, formerCidrs: moved },
    peers,
    ...(departed.length === 0 ? {} : { departed }),
    children,
    entries: mesh ? [] : entries.map(({ entry }) => entry),
    pods,
    localEndpoints: [...placed.local],
    endpoints: placed.remote.filter(({ node: name }) => names.has(name)),
    unlisted,
  };
  const problems = [
    ...unreachableFrom(node, peers),
    ...nodeProblems,
    ...parsed.problems,
    ...entryProblems,
    ...placed.problems,
  ];
  return { content, knownItems: parsed.known, problems };
}

function childrenOf(
  scope: NodeCacheContent['childSaScope'],
  mesh: boolean,
  children: readonly CacheChild[],
): CacheChild[] {
  if (mesh || (scope === 'node' && children.length > 0)) {
    return [EVERYTHING];
  }
  return [...children];
}
