import type { IPsecNode } from '../../cluster/contract/node-status.ts';
import { IPSEC_NODE } from '../../cluster/contract/resources.ts';
import { type EventOptions, writeEvent } from '../events.ts';

/** A certificate that nobody has renewed by this last part of its life is announced. */
const LAST_PART = 0.2;

/**
 * Writes an Event for each certificate that is near its end. `announced`: the end that was announced last, by
 * node; brought up to date.
 */
export async function announceExpiry(
  options: EventOptions,
  reports: readonly IPsecNode[],
  announced: Map<string, string>,
): Promise<void> {
  const present = new Set(reports.map(({ metadata }) => metadata.name));
  for (const name of [...announced.keys()].filter((each) => !present.has(each))) {
    announced.delete(name);
  }
  for (const { metadata, status } of reports) {
    const { name, uid } = metadata;
    const { notBefore = '', notAfter = '' } = status?.certificate ?? {};
    const [from, to] = [Date.parse(notBefore), Date.parse(notAfter)];
    if (to - options.now() < LAST_PART * (to - from) && announced.get(name) !== notAfter) {
      announced.set(name, notAfter);
      await writeEvent(options, {
        regarding: { ...IPSEC_NODE, name, uid },
        type: 'Warning',
        reason: 'CertificateExpiring',
        action: 'Renew',
        note: `the certificate of ${name} ends at ${notAfter}, and was not renewed`,
      });
    }
  }
}
