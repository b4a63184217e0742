import { isOurReqid } from '../../plan/ours.ts';
import type { IkeSa } from '../replies.ts';
import type { KernelSa } from './orphans.ts';

/** A CHILD_SA of ours that charon has and the kernel has lost: somebody flushed it. Its peer would go on sending into nothing. */
export interface Ghost {
  readonly connection: string;
  readonly child: string;
  readonly uniqueId: number;
}

/** Younger ones may not be in the kernel's list yet. Seconds. */
export const GHOST_MIN_AGE_S = 5;

/** List charon's SAs first, then the kernel's. */
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
