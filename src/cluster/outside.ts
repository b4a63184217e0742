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

/** What the node that reads knows better than any other node's agent. */
export interface KnownHere {
  readonly reader: string;
  /** Of this node. */
  readonly pods: readonly CachePod[];
  /** Addresses of its pods that it confirms itself. */
  readonly outside: readonly string[];
  /** Of the cluster, whose own addresses are nobody's pods. */
  readonly nodes: readonly CacheNode[];
  /** Canonical, of Services. */
  readonly serviceAddresses: readonly string[];
}

/**
 * What agents confirm. Another node's agent cannot confirm an address of a pod of the node that reads, of a
 * Service or of a node, or one that no pod can have. What is in a pod CIDR of the node that reads, and of no
 * pod there, may be lent like any other.
 */
export function confirmedBy(confirming: readonly ConfirmingNode[] | undefined, here: KnownHere): Confirmed {
  const said = saidBy(confirming);
  const own = here.pods.flatMap(({ addresses }) => addresses.filter((address) => said.has(address)));
  return confirmed(confirming, here.reader, here.outside, here.nodes, here.serviceAddresses, own.join(' '));
}

const saidBy = memoized(
  (confirming: readonly ConfirmingNode[] | undefined) =>
    new Set(confirming?.flatMap(({ status }) => status?.addressesOutside ?? [])),
);

/** `own`: with spaces between, so that other pods of the node leave the result as it is. */
const confirmed = memoized(
  (
    confirming: readonly ConfirmingNode[] | undefined,
    reader: string,
    outside: readonly string[],
    nodes: readonly CacheNode[],
    serviceAddresses: readonly string[],
    own: string,
  ): Confirmed => {
    const never = new Set([
      ...own.split(' '),
      ...serviceAddresses,
      ...nodes.flatMap(({ addresses }) => addresses),
    ]);
    return new Map([
      ...(confirming ?? []).map(({ metadata, status }) => {
        const usual = status?.addressesOutside?.filter(
          (address) => !never.has(address) && unusable(address) === undefined,
        );
        return [metadata.name, new Set(usual)] as const;
      }),
      [reader, new Set(outside)] as const,
    ]);
  },
);
