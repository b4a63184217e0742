import { overlap } from '../../ip/cidr.ts';
import type { CacheNode, CachePeer, NodeCacheContent } from '../../rundir/schema.ts';

/**
 * How long CIDRs that left the cluster keep policies, so that nothing answers them in the clear. It is longer
 * than TCP goes on retransmitting.
 */
export const DEPARTED_MS = 20 * 60_000;

/** The content that was computed before; `now` is the time of a clock that never jumps (`steadyClock`). */
export interface Before {
  readonly previous: Pick<NodeCacheContent, 'peers' | 'departed' | 'node'> | null;
  readonly now: number;
}

/**
 * Departed peers: pod CIDRs that no peer has any more, with the peer that had them. Policies still match what
 * is sent there, and find no SA (docs/design.md, Unlisted and departed). A CIDR that another node has now, or
 * of which another node has a part, belongs to that node and is left out. `others`: this node, and those
 * that are no peers.
 */
export function departedPeers(
  peers: readonly CachePeer[],
  others: readonly CacheNode[],
  { previous, now }: Before,
): NonNullable<NodeCacheContent['departed']> {
  if (previous?.peers === peers && (previous.departed ?? []).length === 0) {
    return [];
  }
  const isInUse = useOf([...others, ...peers]);
  const gone = [
    ...(previous?.departed ?? []),
    ...(previous?.peers ?? []).map((peer) => ({ ...peer, until: now + DEPARTED_MS })),
  ];
  const seen = new Set<string>();
  return gone.flatMap((peer) => {
    const podCidrs = peer.podCidrs.filter((cidr) => !seen.has(cidr) && !isInUse(cidr));
    if (peer.until <= now || podCidrs.length === 0) {
      return [];
    }
    for (const cidr of podCidrs) {
      seen.add(cidr);
    }
    return [{ ...peer, podCidrs }];
  });
}

/** Pod CIDRs that this node had before: its pods keep their addresses until they end. */
export function formerCidrs(
  node: CacheNode,
  peers: readonly CachePeer[],
  { previous, now }: Before,
): NonNullable<CacheNode['formerCidrs']> {
  const before = previous?.node.name === node.name ? previous.node : undefined;
  const gone = [
    ...(before?.formerCidrs ?? []),
    ...(before?.podCidrs ?? [])
      .filter((cidr) => !node.podCidrs.includes(cidr))
      .map((cidr) => ({ cidr, until: now + DEPARTED_MS })),
  ];
  if (gone.length === 0) {
    return [];
  }
  const isInUse = useOf([node, ...peers]);
  return gone.filter(
    ({ cidr, until }, index) =>
      until > now && gone.findIndex((other) => other.cidr === cidr) === index && !isInUse(cidr),
  );
}

/**
 * Returns whether a node uses a CIDR or a part of it. Nearly all CIDRs are found as they are; only the others
 * are compared one by one for an overlap.
 */
function useOf(nodes: readonly CacheNode[]): (cidr: string) => boolean {
  const inUse = new Set(nodes.flatMap(({ podCidrs }) => podCidrs));
  return (cidr) => inUse.has(cidr) || [...inUse].some((other) => overlap(cidr, other));
}
