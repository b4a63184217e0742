import { familyOf } from '../../ip/family.ts';
import { numberOf } from '../../ip/number.ts';
import type { CacheNode } from '../../rundir/schema.ts';

/** The node that has an address. */
export interface Place {
  readonly node: string;
  /** True if it is the node's own address, false if it is in a pod CIDR of the node. */
  readonly host: boolean;
  /**
   * The address is the first or the last of a pod CIDR, or the one after the first, which a bridge has: with
   * most CNIs none of a pod, but the node's.
   */
  readonly edge?: true;
}

/** A CIDR of fewer addresses than this has no edges, as CNIs give all of its addresses to pods. */
const LEAST_BITS = 3n;

function isEdge(number: bigint, shift: bigint, family: number): boolean {
  const offset = number & ((1n << shift) - 1n);
  const isLast = family === 4 && offset === (1n << shift) - 1n;
  return shift >= LEAST_BITS && (offset <= 1n || isLast);
}

/**
 * Returns a function that finds the node of a canonical address: the node whose own address it is, or else
 * the one whose pod CIDR contains it, where the longest prefix wins. Made once for all nodes; a search asks
 * one map for each prefix length.
 */
export function createLocator(nodes: readonly CacheNode[]): (address: string) => Place | undefined {
  const hosts = new Map(nodes.flatMap(({ name, addresses }) => addresses.map((address) => [address, name])));
  /** By family and prefix length: a map from network to node. */
  const networks = new Map<string, { family: number; shift: bigint; nodes: Map<bigint, string> }>();
  for (const { name, podCidrs } of nodes) {
    for (const cidr of podCidrs) {
      const [network = '', bits = ''] = cidr.split('/');
      const family = familyOf(cidr);
      const shift = BigInt((family === 4 ? 32 : 128) - Number(bits));
      const key = `${family}/${bits.padStart(3, '0')}`;
      const level = networks.get(key) ?? { family, shift, nodes: new Map<bigint, string>() };
      const prefix = numberOf(network) >> shift;
      // If several nodes claim one CIDR, all nodes agree that the first by name has it.
      level.nodes.set(prefix, level.nodes.get(prefix) ?? name);
      networks.set(key, level);
    }
  }
  const levels = [...networks].sort(([a], [b]) => (a < b ? 1 : -1)).map(([, level]) => level);
  return (address) => {
    const host = hosts.get(address);
    if (host !== undefined) {
      return { node: host, host: true };
    }
    const family = familyOf(address);
    const number = numberOf(address);
    for (const level of levels) {
      const node = level.family === family ? level.nodes.get(number >> level.shift) : undefined;
      if (node !== undefined) {
        const edge = isEdge(number, level.shift, family) ? { edge: true as const } : {};
        return { node, host: false, ...edge };
      }
    }
    return undefined;
  };
}
