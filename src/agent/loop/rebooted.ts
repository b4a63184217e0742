import type { Node } from '../../cluster/objects.ts';
import { memoized } from '../../util/memo.ts';

/** Boot ID by node name; a Node that tells none is left out. */
export type BootIds = ReadonlyMap<string, string>;

export const bootIdsOf = memoized(
  (nodes: readonly Node[]): BootIds =>
    new Map(
      nodes.flatMap(({ metadata: { name }, status }) => {
        const id = status?.nodeInfo?.bootID ?? '';
        return id === '' ? [] : [[name, id] as const];
      }),
    ),
);

/** Names of nodes that have booted in between. They have lost the SAs that others have with them. */
export function rebooted(before: BootIds, now: BootIds): string[] {
  if (before === now) {
    return [];
  }
  return [...now].filter(([node, id]) => before.has(node) && before.get(node) !== id).map(([node]) => node);
}
