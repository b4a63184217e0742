import { parseNodes } from '../cluster/nodes.ts';
import type { ClusterObjects } from '../cluster/snapshot.ts';
import { type EventOptions, writeEvent } from './events.ts';

/** The problem of each Node that was announced, by name. */
export type AnnouncedNodes = Map<string, string>;

/**
 * Writes an Event about each Node of which something is refused, once for each thing that there is to say. A
 * new Node that has no pod CIDR or no address yet is no news. Brings `announced` up to date.
 */
export async function announceNodes(
  options: EventOptions,
  objects: Pick<ClusterObjects, 'nodes' | 'blockAffinities' | 'ciliumNodes'>,
  announced: AnnouncedNodes,
): Promise<void> {
  const { problems } = parseNodes(objects.nodes, objects);
  const uids = new Map(objects.nodes.map(({ metadata }) => [metadata.name, metadata.uid ?? '']));
  const before = new Map(announced);
  announced.clear();
  for (const { where, message } of problems.filter((problem) => !problem.message.endsWith(' yet'))) {
    const name = where.slice('Node '.length);
    announced.set(name, message);
    if (before.get(name) !== message) {
      await writeEvent(options, {
        regarding: { apiVersion: 'v1', kind: 'Node', name, uid: uids.get(name) ?? '' },
        type: 'Warning',
        reason: 'NodeNotAsWritten',
        action: 'Read',
        note: message,
      });
    }
  }
}
