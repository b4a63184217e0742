import type { IPsecNode } from '../../cluster/contract/node-status.ts';
import { IPSEC_NODE } from '../../cluster/contract/resources.ts';
import { type EventOptions, writeEvent } from '../events.ts';

/** How many nodes get an Event of their own. What keeps more than these is no matter of single nodes. */
const NAMED = 50;

/** Writes an Event for each node that a step to another CA went without. */
export async function announceGivenUp(
  options: EventOptions,
  reports: readonly IPsecNode[],
  givenUp: readonly string[],
): Promise<void> {
  if (givenUp.length === 0) {
    return;
  }
  options.log.warn({ nodes: givenUp.slice(0, NAMED), count: givenUp.length }, 'the CA changed without nodes');
  const names = new Set(givenUp.slice(0, NAMED));
  const more = givenUp.length > NAMED ? `; so it did without ${givenUp.length - 1} others` : '';
  for (const { metadata } of reports.filter((report) => names.has(report.metadata.name))) {
    const { name, uid } = metadata;
    await writeEvent(options, {
      regarding: { ...IPSEC_NODE, name, uid },
      type: 'Warning',
      reason: 'AuthorityNotFollowed',
      action: 'ChangeAuthority',
      note: `the change to another CA went on without ${name}, whose certificate or trust is of the former one${more}`,
    });
  }
}
