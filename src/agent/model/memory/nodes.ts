import type { ParsedNodes } from '../../../cluster/nodes.ts';
import type { ObjectProblem } from '../../../cluster/snapshot.ts';
import { overlap } from '../../../ip/cidr.ts';
import type { CacheNode, NodeCacheContent } from '../../../rundir/schema.ts';
import { memoized } from '../../../util/memo.ts';
import { firstOf } from '../../../util/printable.ts';

/** How many CIDRs a problem names. */
const NAMED = 3;

export interface RememberedNodes {
  /** Sorted by name. */
  readonly nodes: readonly CacheNode[];
  readonly unreachable: NonNullable<NodeCacheContent['unreachable']>;
  readonly problems: readonly ObjectProblem[];
}

/**
 * The nodes as they are, and in their last good form those that were good and are not now: a typo in an
 * annotation, or a kubelet that reports no address for a moment, is no leave. Only a node whose object is
 * gone has left. One that was never good counts as far as it can be read, and is
 * unreachable if at least its pod CIDRs are known. `before`: the
 * nodes of the cache before, `unreached` those that were unreachable; `there`: nodes that are there, whether
 * they can be read or not; `held`: those that are missing, and still believed to be there.
 */
export const rememberNodes = memoized(
  (
    parsed: ParsedNodes,
    before: readonly CacheNode[],
    unreached: RememberedNodes['unreachable'],
    nodeName: string,
    there: ReadonlySet<string>,
    held: ReadonlySet<string>,
  ): RememberedNodes => {
    const former = new Map(before.map((node) => [node.name, node]));
    const unknown = (parsed.partial ?? []).filter(({ name }) => !former.has(name));
    const readable = unknown.length === 0 ? parsed.nodes : sorted([...parsed.nodes, ...unknown]);
    const formed = new Set(readable.map(({ name }) => name));
    const remains = ({ name }: { readonly name: string }): boolean =>
      !formed.has(name) && (there.has(name) || held.has(name));
    const stays = [...former.values()].filter(remains);
    // A node that is there keeps its CIDRs against one that claims them anew. One that is missing does not.
    const firm = stays.filter(({ name }) => there.has(name)).flatMap(({ podCidrs }) => podCidrs);
    const problems: ObjectProblem[] = [];
    const present = readable.flatMap((node) => {
      const own = former.get(node.name)?.podCidrs ?? [];
      const refused = node.podCidrs.filter(
        (cidr) => !own.includes(cidr) && firm.some((other) => overlap(cidr, other)),
      );
      if (refused.length === 0) {
        return [node];
      }
      const message = `pod CIDR ${firstOf(refused, NAMED)}: was another node's, which cannot be read at the moment and keeps it`;
      problems.push({ where: `Node ${node.name}`, message });
      const left = node.podCidrs.filter((cidr) => !refused.includes(cidr));
      // One of which nothing is left counts as one that cannot be read: what it had stays its own.
      const others = readable.filter(({ name }) => name !== node.name).flatMap(({ podCidrs }) => podCidrs);
      const podCidrs = left.length > 0 ? left : without(own, others);
      return podCidrs.length === 0 ? [] : [{ ...node, podCidrs }];
    });
    const used = [...present.flatMap(({ podCidrs }) => podCidrs), ...firm];
    const kept = stays.flatMap((node) => {
      const podCidrs = there.has(node.name) ? node.podCidrs : without(node.podCidrs, used);
      return podCidrs.length === 0 ? [] : [{ ...node, podCidrs }];
    });
    const inForce = new Set([...present, ...kept].map(({ name }) => name));
    const taken = [...used, ...kept.flatMap(({ podCidrs }) => podCidrs)];
    const addressless = parsed.addressless ?? [];
    const silent = unreached.filter(
      (one) => remains(one) && !addressless.some(({ name }) => name === one.name),
    );
    const unreachable = [...addressless, ...silent]
      .filter(({ name }) => name !== nodeName && !inForce.has(name))
      .map(({ name, podCidrs }) => ({ name, podCidrs: without(podCidrs, taken) }))
      .filter(({ podCidrs }) => podCidrs.length > 0);
    return {
      nodes: kept.length === 0 && problems.length === 0 ? readable : sorted([...present, ...kept]),
      unreachable,
      problems: [...problems, ...told(parsed.problems, kept, { there, unreachable })],
    };
  },
);

/** The nodes of the cache before, in the form in which they are compared. */
export const nodesBefore = memoized(
  (
    node: NodeCacheContent['node'] | undefined,
    peers: NodeCacheContent['peers'],
    nodeName: string,
  ): readonly CacheNode[] =>
    [...(node?.name === nodeName ? [node] : []), ...peers].map(({ name, addresses, podCidrs }) => ({
      name,
      addresses,
      podCidrs,
    })),
);

/** What the problems of these nodes mean. */
function told(
  problems: readonly ObjectProblem[],
  kept: readonly CacheNode[],
  { there, unreachable }: Pick<RememberedNodes, 'unreachable'> & { readonly there: ReadonlySet<string> },
): ObjectProblem[] {
  const keeps = new Set(kept.filter(({ name }) => there.has(name)).map(({ name }) => `Node ${name}`));
  const closed = new Set(unreachable.map(({ name }) => `Node ${name}`));
  const reported = new Set(problems.map(({ where }) => where));
  return [
    ...problems.map(({ where, message }) => ({
      where,
      message: keeps.has(where)
        ? `${message}; what it said before stays in force`
        : closed.has(where)
          ? `${message}; no tunnel, and nothing of a protected port goes there or comes from there`
          : message,
    })),
    ...[...keeps]
      .filter((where) => !reported.has(where))
      .map((where) => ({ where, message: 'cannot be read: what it said before stays in force' })),
  ];
}

const without = (cidrs: readonly string[], others: readonly string[]): string[] =>
  cidrs.filter((cidr) => !others.some((other) => overlap(cidr, other)));

const sorted = (nodes: readonly CacheNode[]): CacheNode[] =>
  [...nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
