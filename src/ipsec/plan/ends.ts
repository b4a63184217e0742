import { familyOf } from '../../ip/address.ts';

/**
 * The two ends of the tunnel between two nodes. One IKE_SA per peer means one address family for everything
 * it carries: IPv4 if both nodes have it, otherwise IPv6. Both nodes come to the same answer.
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
