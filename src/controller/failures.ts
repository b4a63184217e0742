import type { IPsecNode } from '../cluster/contract/node-status.ts';
import { IPSEC_NODE } from '../cluster/contract/resources.ts';
import { type EventOptions, writeEvent } from './events.ts';

/** The failures that were announced, as `<peer>: <reason>`, by node. */
export type Announced = Map<string, ReadonlySet<string>>;

/**
 * Writes an Event for each negotiation that begins to fail, or fails for another reason than before, and one
 * for a node when the last of its failures is gone. Brings `announced` up to date.
 */
export async function announceFailures(
  options: EventOptions,
  nodes: Iterable<IPsecNode>,
  announced: Announced,
): Promise<void> {
  const present = new Set<string>();
  for (const { metadata, status } of nodes) {
    present.add(metadata.name);
    const { name, uid } = metadata;
    const regarding = { ...IPSEC_NODE, name, uid };
    const before = announced.get(name) ?? new Set();
    const now = new Set((status?.failures ?? []).map(({ peer, reason }) => `${peer}: ${reason}`));
    announced.set(name, now);
    for (const note of [...now].filter((each) => !before.has(each))) {
      await writeEvent(options, {
        regarding,
        type: 'Warning',
        reason: 'NegotiationFailed',
        action: 'Negotiate',
        note,
      });
    }
    if (now.size === 0 && before.size > 0) {
      const note = 'every negotiation that failed has succeeded since';
      await writeEvent(options, {
        regarding,
        type: 'Normal',
        reason: 'Negotiated',
        action: 'Negotiate',
        note,
      });
    }
  }
  for (const name of [...announced.keys()].filter((each) => !present.has(each))) {
    announced.delete(name);
  }
}
