import { isOurReqid } from '../../plan/ours.ts';
import type { XfrmPolicy } from '../../plan/types.ts';
import type { IkeSa } from '../replies.ts';

/** SPI of the SA to send through, by reqid. */
export type Pins = ReadonlyMap<number, number>;

/**
 * What to go on sending through while a peer replaces the CHILD_SAs of a connection: the newest of each. A responder has a CHILD_SA before its
 * initiator has (RFC 7296 2.3), and the kernel takes the newest: what it sent in between would be lost.
 */
export function pinsFor(connection: string, sas: readonly IkeSa[]): Map<number, number> {
  const pins = new Map<number, number>();
  const ages = new Map<number, number>();
  for (const { children } of sas.filter((sa) => sa.connection === connection)) {
    for (const { state, reqid, spiOut, installedFor = 0 } of children) {
      const youngest = ages.get(reqid);
      if (
        state === 'INSTALLED' &&
        isOurReqid(reqid) &&
        spiOut !== undefined &&
        (youngest === undefined || installedFor < youngest)
      ) {
        ages.set(reqid, installedFor);
        pins.set(reqid, spiOut);
      }
    }
  }
  return pins;
}

/** Whether a peer's new IKE_SA announces children that replace others: it has none itself (RFC 6023). One that booted brings its first child along. */
export function isAnnouncement(newcomer: number, sas: readonly IkeSa[]): boolean {
  const sa = sas.find(({ uniqueId }) => uniqueId === newcomer);
  return sa !== undefined && !sa.initiator && sa.children.length === 0;
}

/** The policy with what it sends through. */
export function pin(policy: XfrmPolicy, pins: Pins): XfrmPolicy {
  const spi = policy.dir === 'out' ? pins.get(policy.template.reqid) : undefined;
  return spi === undefined ? policy : { ...policy, template: { ...policy.template, spi } };
}

/** The reqids that are held to another SA, or to none any more. */
export function repinned(a: Pins, b: Pins): ReadonlySet<number> {
  return new Set([...a.keys(), ...b.keys()].filter((reqid) => a.get(reqid) !== b.get(reqid)));
}
