import type { Node } from '../../../cluster/objects.ts';
import type { CachePod } from '../../../rundir/schema.ts';
import { memoized } from '../../../util/memo.ts';

type Names = ReadonlySet<string>;

export const NO_NAMES: Names = new Set();

export const union = memoized((a: Names, b: Names): Names => (b.size === 0 ? a : new Set([...a, ...b])));

/** Names of the Nodes that are there, whether they can be read or not. */
export const nodesThere = memoized(
  (nodes: readonly Node[], unread: Names): Names =>
    new Set([...nodes.map(({ metadata }) => metadata.name), ...unread]),
);

/** This node's pods, with those that cannot be read, or are missing and still believed to be there. */
export const withHeld = memoized(
  (pods: CachePod[], previous: readonly CachePod[], held: Names): CachePod[] => {
    const there = new Set(held.size === 0 ? [] : pods.map(({ namespace, name }) => `${namespace}/${name}`));
    const kept = previous.filter(({ namespace, name }) => {
      const key = `${namespace}/${name}`;
      return held.has(key) && !there.has(key);
    });
    return kept.length === 0
      ? pods
      : [...pods, ...kept].sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
  },
);
