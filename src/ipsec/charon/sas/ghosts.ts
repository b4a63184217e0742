import { isOurReqid } from '../../plan/ours.ts';
import type { IkeSa } from '../replies.ts';
import type { KernelSa } from './orphans.ts';

/**
 * A ghost: a CHILD_SA of ours that charon has and the kernel has lost, because somebody flushed it. Its peer
 * would go on sending into nothing.
 */
export interface Ghost {
  readonly connection: string;
  readonly child: string;
  readonly uniqueId: number;
}

/** Age from which a CHILD_SA can be a ghost; seconds. The kernel's list may not have a younger one yet. */
export const GHOST_MIN_AGE_S = 5;

/** Finds ghosts. List charon's SAs first and the kernel's second. */
export function findGhosts(sas: readonly IkeSa[], kernel: readonly KernelSa[]): Ghost[] {
  const present = new Set(kernel.map(({ dst, spi }) => `${dst} ${spi}`));
  return sas.flatMap((sa) =>
    sa.children
      .filter(
        ({ state, reqid, installedFor = 0, spiIn = 0, spiOut = 0 }) =>
          state === 'INSTALLED' &&
          isOurReqid(reqid) &&
          installedFor >= GHOST_MIN_AGE_S &&
          !(present.has(`${sa.localHost} ${spiIn}`) && present.has(`${sa.remoteHost} ${spiOut}`)),
      )
      .map(({ name, uniqueId }) => ({ connection: sa.connection, child: name, uniqueId })),
  );
}
