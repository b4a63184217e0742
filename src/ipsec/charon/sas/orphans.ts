import { isOurReqid } from '../../plan/ours.ts';
import type { IkeSa } from '../replies.ts';

/** An SA as the kernel lists it. */
export interface KernelSa {
  readonly src: string;
  readonly dst: string;
  readonly spi: number;
  readonly reqid: number;
  /** Empty for a larval SA, which is still being negotiated. */
  readonly algorithms: readonly unknown[];
}

/**
 * Finds orphans: SAs of ours that the kernel has and charon does not know, because an earlier charon was
 * killed. Nobody would ever rekey them. List the kernel's SAs first and charon's second, so that an SA that
 * comes up in between is no orphan.
 */
export function findOrphans<T extends KernelSa>(kernel: readonly T[], sas: readonly IkeSa[]): T[] {
  const charons = new Set(
    sas.flatMap((sa) =>
      sa.children.flatMap((child) => [
        key(sa.localHost, child.spiIn ?? 0),
        key(sa.remoteHost, child.spiOut ?? 0),
      ]),
    ),
  );
  return kernel.filter(
    (sa) =>
      isOurReqid(sa.reqid) && sa.spi !== 0 && sa.algorithms.length > 0 && !charons.has(key(sa.dst, sa.spi)),
  );
}

function key(dst: string, spi: number): string {
  return `${dst} ${spi}`;
}
