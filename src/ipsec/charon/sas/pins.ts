import { isOurReqid } from '../../plan/ours.ts';
import type { XfrmPolicy } from '../../plan/types.ts';
import type { IkeSa } from '../replies.ts';

/** For each reqid, the SPI of the SA that `out` policies with this reqid are pinned to. */
export type Pins = ReadonlyMap<number, number>;

/**
 * The pins for the time in which a peer replaces the CHILD_SAs of a connection: the newest CHILD_SA of each
 * reqid (docs/design.md, Replacing SAs). A responder has a new CHILD_SA before its initiator has (RFC 7296
 * 2.3), and the kernel sends through the newest: without a pin, packets that it sends in between would be
 * lost.
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

/**
 * Whether a peer's new IKE_SA announces CHILD_SAs that will replace others. Such an IKE_SA has no child
 * itself (RFC 6023); the IKE_SA of a peer that booted brings its first child along.
 */
export function isAnnouncement(newcomer: number, sas: readonly IkeSa[]): boolean {
  const sa = sas.find(({ uniqueId }) => uniqueId === newcomer);
  return sa !== undefined && !sa.initiator && sa.children.length === 0;
}

/** The policy, pinned to its SA if there is a pin for it. */
export function pin(policy: XfrmPolicy, pins: Pins): XfrmPolicy {
  const spi = policy.dir === 'out' ? pins.get(policy.template.reqid) : undefined;
  return spi === undefined ? policy : { ...policy, template: { ...policy.template, spi } };
}

/** Reqids whose pin differs between the two, or is in one of them alone. */
export function repinned(a: Pins, b: Pins): ReadonlySet<number> {
  return new Set([...a.keys(), ...b.keys()].filter((reqid) => a.get(reqid) !== b.get(reqid)));
}
