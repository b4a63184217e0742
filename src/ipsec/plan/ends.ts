import { familyOf } from '../../ip/family.ts';

/**
 * The addresses of the two ends of the tunnel between two nodes; undefined if they have no address family in
 * common. There is one IKE_SA for each peer, so all its traffic goes by one address family: IPv4 if both
 * nodes have it, otherwise IPv6. Both nodes come to the same answer.
 */
export function tunnelEnds(
  own: readonly string[],
  peer: readonly string[],
): { own: string; peer: string } | undefined {
  for (const family of [4, 6] as const) {
    const mine = own.find((address) => familyOf(address) === family);
    const theirs = peer.find((address) => familyOf(address) === family);
    if (mine !== undefined && theirs !== undefined) {
      return { own: mine, peer: theirs };
    }
  }
  return undefined;
}
