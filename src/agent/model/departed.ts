import { overlap } from '../../ip/cidr.ts';
import type { CacheNode, CachePeer, NodeCacheContent } from '../../rundir/schema.ts';

/** How long what has left the cluster is kept from being answered in the clear: longer than TCP goes on retransmitting to it. */
export const DEPARTED_MS = 20 * 60_000;

/** What was known before; milliseconds since the epoch. */
export interface Before {
  readonly previous: Pick<NodeCacheContent, 'peers' | 'departed' | 'node'> | null;
  readonly now: number;
}

/**
 * Pod CIDRs of peers that are no peer's any more, with the peer that had them: what is sent there still goes by a policy, and finds no SA.
 * A CIDR that somebody else has now, or a part of it, is that node's.
 */
export function departedPeers(
  peers: readonly CachePeer[],
  node: CacheNode,
  { previous, now }: Before,
): NonNullable<NodeCacheContent['departed']> {
  if (previous?.peers === peers && (previous.departed ?? []).length === 0) {
    return [];
  }
  const isInUse = useOf([node, ...peers]);
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

/** Pod CIDRs that this node had: its pods keep their addresses until they end. */
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

/** Nearly all CIDRs are there as they were: only the others are held against each. */
function useOf(nodes: readonly CacheNode[]): (cidr: string) => boolean {
  const inUse = new Set(nodes.flatMap(({ podCidrs }) => podCidrs));
  return (cidr) => inUse.has(cidr) || [...inUse].some((other) => overlap(cidr, other));
}
