import { overlap } from '../ip/cidr.ts';
import { hostCidr } from '../ip/family.ts';
import { unusable } from '../ip/unusable.ts';
import type { CacheNode, CachePod } from '../rundir/schema.ts';
import { memoized } from '../util/memo.ts';
import type { ConfirmingNode } from './contract/confirming-node.ts';

/** Addresses that nodes confirm to be pods of their own, by name of the node. */
export type Confirmed = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * The addresses of a node's pods that lie in none of its pod CIDRs, sorted: other nodes cannot know where
 * these live. They are taken from the status of pods, as slices are: what is not there yet is in no slice.
 * `all`: the nodes of the cluster, whose own addresses are nobody's pods.
 */
export const addressesOutside = memoized(
  (pods: readonly CachePod[], node: CacheNode, all: readonly CacheNode[]): readonly string[] => {
    const outside = pods
      .flatMap(({ addresses }) => addresses)
      .filter((address) => !node.podCidrs.some((cidr) => overlap(cidr, hostCidr(address))));
    if (outside.length === 0) {
      return NONE;
    }
    const hosts = new Set([node, ...all].flatMap(({ addresses }) => addresses));
    return [...new Set(outside)].filter((each) => !hosts.has(each) && unusable(each) === undefined).sort();
  },
);

const NONE: readonly string[] = [];

/** What agents confirm; `own` is what the node that reads knows of its own pods. */
export const confirmedBy = memoized(
  (nodes: readonly ConfirmingNode[] | undefined, reader: string, own: readonly string[]): Confirmed =>
    new Map([
      ...(nodes ?? []).map(
        ({ metadata, status }) => [metadata.name, new Set(status?.addressesOutside)] as const,
      ),
      [reader, new Set(own)] as const,
    ]),
);
