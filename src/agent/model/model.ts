/**
 * The room `agent/model` computes the content of the node cache from the objects of the cluster: peers,
 * reqids, children, endpoints and phases, as this one node has to know them. It is pure: it remembers
 * results, but these depend on its arguments alone. It imports src/cluster, pure helpers of `ipsec/plan`,
 * src/ip and the cache's types; the agent's loop calls it and writes the cache.
 */

import { BOUNDS } from '../../cluster/bounds.ts';
import { addressesOutside, confirmedBy } from '../../cluster/outside.ts';
import { resolveEntries } from '../../cluster/policies/entries.ts';
import type { ModelEntry } from '../../cluster/policies/entry.ts';
import { parseItems } from '../../cluster/policies/items.ts';
import type { ObjectProblem } from '../../cluster/snapshot.ts';
import { configNames, PODS_CHILD } from '../../ipsec/plan/child.ts';
import { isEveryPort } from '../../ipsec/plan/ports.ts';
import type {
  CacheChild,
  CachePeer,
  CachePod,
  NodeCacheContent,
  ProtectedPort,
} from '../../rundir/schema.ts';
import { memoized, steady } from '../../util/memo.ts';
import { firstOf, printable } from '../../util/printable.ts';
import { buildChildren, protectedPorts } from './children.ts';
import { departedPeers, formerCidrs } from './departed.ts';
import { placeEndpoints } from './endpoints.ts';
import { nextServices } from './memory/known-services.ts';
import { nodesBefore, rememberNodes } from './memory/nodes.ts';
import { recallServices } from './memory/services.ts';
import { NO_NAMES, nodesThere, union, withHeld } from './memory/there.ts';
import { nextWithdrawn, withReturned } from './memory/withdrawn.ts';
import { addressesOf, locatedOf, namesOf, nodesOf, peersOf, unreachableFrom } from './nodes.ts';
import { nextReached, phaseLookup, phaseOfMesh } from './phases.ts';
import { podsOf, podsOfCluster } from './pods.ts';
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
const sameOutside = steady<readonly string[]>();
/** How many items a problem names. */
const NAMED = 5;
const NO_PODS: readonly CachePod[] = [];
const NO_PEERS: CachePeer[] = [];
const EVERYTHING: CacheChild = { name: PODS_CHILD, proto: 'any', ports: [] };

/**
 * Builds the content of the node cache: the cluster as one node has to know it. Pure: equal objects in any
 * order give equal content, so all nodes agree on children. Throws ModelError.
 */
export function buildNodeCache(input: ModelInput): Model {
  const { objects, nodeName, childSaScope } = input;
  const { previous, now, unread = {}, held = {} } = input;
  const {
    nodes,
    unreachable,
    problems: nodeProblems,
  } = rememberNodes(
    nodesOf(
      objects.nodes,
      nodeName,
      addressesOf(objects.services),
      objects.blockAffinities,
      objects.ciliumNodes,
      ...(previous === null ? [] : [previous.node, ...previous.peers]),
    ),
    nodesBefore(previous?.node, previous?.peers ?? NO_PEERS, nodeName),
    previous?.unreachable ?? NO_PEERS,
    nodeName,
    nodesThere(objects.nodes, unread.nodes ?? NO_NAMES),
    held.nodes ?? NO_NAMES,
  );
  const node = nodes.find(({ name }) => name === nodeName);
  if (node === undefined) {
    const why = nodeProblems.find(({ where }) => where === `Node ${nodeName}`)?.message ?? 'not there';
    throw new ModelError(`Node ${nodeName}: ${why}`);
  }
  const unreadPolicies = union(unread.policies ?? NO_NAMES, held.policies ?? NO_NAMES);
  const { policies } = objects;
  const { knownItems, withdrawn = new Map() } = input;
  const before = withReturned(knownItems, withdrawn, policies, unreadPolicies, now);
  const parsed = parseItems(policies, before, unreadPolicies);
  const known = input.services ?? new Map();
  const recalled = recallServices(objects, parsed.items, { known, now, unread: unread.services ?? NO_NAMES });
  const {
    entries,
    mesh,
    problems: entryProblems,
    coarsened,
  } = resolveEntries(parsed.items, recalled, phaseLookup(input));
  const heldPods = union(unread.pods ?? NO_NAMES, held.pods ?? NO_NAMES);
  const pods = withHeld(ownPods(objects.pods, nodeName), previous?.pods ?? NO_PODS, heldPods);
  const children = sameChildren(
    childrenOf(childSaScope, mesh, buildChildren(entries, clusterPods(objects.pods))),
  );
  const outside = sameOutside(addressesOutside(pods, node, nodes));
  const configs = children.flatMap(({ name }) => configNames(name)).sort();
  const peers = peersOf(nodes, nodeName, configs.join(' '), previous?.peers, previous?.departed);
  const moved = formerCidrs(node, peers, input);
  const placed = placeEndpoints(mesh ? [] : entries, {
    nodes: locatedOf(nodes, unreachable),
    nodeName,
    children: { childSaScope, children },
    confirmed: confirmedBy(objects.ipsecNodes, {
      reader: nodeName,
      pods,
      outside,
      nodes: locatedOf(nodes, unreachable),
      serviceAddresses: addressesOf(objects.services),
    }),
    pods,
    previous,
    formerCidrs: moved.map(({ cidr }) => cidr),
  });
  const names = namesOf(peers, unreachable);
  const meshPhase = mesh ? phaseOfMesh(parsed.items, input) : 'require';
  const portsIn = (some: readonly ModelEntry[]): ProtectedPort[] =>
    mesh ? [] : protectedPorts(some, clusterPods(objects.pods), { childSaScope, children });
  const ports = portsIn(entries);
  // What goes beyond the bounds of addresses is protected with CIDRs, whatever is asked for.
  const some = input.protectUnlisted === false ? portsIn(entries.filter(({ beyond }) => beyond)) : ports;
  const unlisted = some.filter(({ port }) => !isEveryPort(port));
  const departed = departedPeers(peers, locatedOf([node], unreachable), input);
  const content: NodeCacheContent = {
    childSaScope,
    mesh,
    ...(meshPhase === 'require' ? {} : { meshPhase }),
    ...(input.nodeTraffic === true ? { nodeTraffic: true } : {}),
    ...(input.strict === true ? { strict: true } : {}),
    node: moved.length === 0 ? node : { ...node, formerCidrs: moved },
    peers,
    ...(departed.length === 0 ? {} : { departed }),
    ...(unreachable.length === 0 ? {} : { unreachable: [...unreachable] }),
    ...(departed.length + unreachable.length === 0 ? {} : { guarded: ports }),
    children,
    entries: mesh ? [] : entries.map(({ entry }) => entry),
    pods,
    localEndpoints: [...placed.local],
    ...(placed.lost.length === 0 ? {} : { lost: [...placed.lost] }),
    endpoints: placed.remote.filter(({ node: name }) => names.has(name)),
    unlisted,
  };
  const problems = [
    ...unreachableFrom(node, peers),
    ...unconfirmed(nodeName, outside.length),
    ...nodeProblems,
    ...parsed.problems,
    ...neverUnderstood(parsed.strange),
    ...recalled.problems,
    ...entryProblems,
    ...(mesh || childSaScope === 'node' ? [] : coarsened),
    ...placed.problems,
  ];
  return {
    content,
    knownItems: parsed.known,
    withdrawn: nextWithdrawn(withdrawn, knownItems, policies, unreadPolicies, now),
    services: nextServices(known, entries, recalled),
    reached: nextReached(input.reached ?? new Map(), mesh ? [] : entries, {
      mesh: mesh ? meshPhase : undefined,
      now,
    }),
    problems: problems.map(bounded),
  };
}

/** Values that problems quote are of any length. */
function bounded(problem: ObjectProblem): ObjectProblem {
  const most = BOUNDS.charactersPerProblem;
  return problem.message.length > most ? { ...problem, message: printable(problem.message, most) } : problem;
}

/** Other nodes may have understood a former form of these, and go on with it. */
function neverUnderstood(items: readonly string[]): ObjectProblem[] {
  return [...Map.groupBy(items, (key) => key.slice(0, key.indexOf('/')))].map(([policy, all]) => {
    const names = all.map(
      (key) => printable(key.slice(policy.length + 1), BOUNDS.charactersPerValue) || '(no name)',
    );
    const message = `never understood on this node: ${firstOf(names, NAMED)}: nothing of it is protected here, also where other nodes go on with a former form`;
    return { where: `IPsecPolicy ${policy}`, message };
  });
}

/** Other nodes do not learn of these. */
function unconfirmed(nodeName: string, outside: number): ObjectProblem[] {
  const message = `${outside} pods have addresses outside of its pod CIDRs: all but ${BOUNDS.addressesOutside} are not protected on other nodes until trapline.io/pod-cidrs names their CIDR`;
  return outside > BOUNDS.addressesOutside ? [{ where: `Node ${nodeName}`, message }] : [];
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
