import { isOurReqid } from '../identity.ts';
import type { KernelSa } from './orphans.ts';
import type { IkeSa } from './replies.ts';

/** Younger ones may not be in the kernel's list yet. */
const SETTLED_S = 5;

/**
 * CHILD_SAs of ours that charon has and the kernel has lost, by unique id: somebody flushed it. Their peers would go on sending into nothing.
 * List charon's first, then the kernel's.
 */
export function findGhosts(sas: readonly IkeSa[], kernel: readonly KernelSa[]): number[] {
  const present = new Set(kernel.map(({ dst, spi }) => `${dst} ${spi}`));
  return sas.flatMap((sa) =>
    sa.children
      .filter(
        ({ state, reqid, installedFor = 0, spiIn = 0, spiOut = 0 }) =>
          state === 'INSTALLED' &&
          isOurReqid(reqid) &&
          installedFor >= SETTLED_S &&
          !(present.has(`${sa.localHost} ${spiIn}`) && present.has(`${sa.remoteHost} ${spiOut}`)),
      )
      .map(({ uniqueId }) => uniqueId),
  );
}
