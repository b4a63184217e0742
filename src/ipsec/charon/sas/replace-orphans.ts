import type { ConnectionConfig } from '../../plan/types.ts';
import { ViciError } from '../../vici/error.ts';
import type { IkeSa } from '../replies.ts';
import { findOrphans, type KernelSa } from './orphans.ts';

export interface OrphanEffects {
  listKernel(): Promise<readonly KernelSa[]>;
  listSas(): Promise<readonly IkeSa[]>;
  /**
   * Makes the peer's agent send through the orphans until both ends have the SAs that replace them. @throws
   * ViciError if the peer does not answer
   */
  announce(connection: string): Promise<void>;
  /** @throws ViciError if the CHILD_SA does not come up */
  initiate(connection: string, child: string): Promise<void>;
  /**
   * Waits until the peer sends through the new SAs, and packets that it sent through an orphan have arrived.
   */
  drain(): Promise<void>;
  /** Deletes an SA from the kernel; an SA that is gone is not an error. */
  deleteKernel(sa: KernelSa): Promise<void>;
}

/**
 * Brings up a new CHILD_SA for every child that has orphans, then removes the orphans. The kernel sends
 * through the newer SA as soon as it is there. An orphan whose child cannot be brought up is removed as well:
 * its peer has lost the other end or is about to lose it, and after the removal the kernel's next acquire
 * starts afresh. Resolves to the number of orphans.
 */
export async function replaceOrphans(
  connections: readonly ConnectionConfig[],
  effects: OrphanEffects,
): Promise<number> {
  const kernel = await effects.listKernel();
  const sas = await effects.listSas();
  const orphans = findOrphans(kernel, sas);
  const reqids = new Set(orphans.map((orphan) => orphan.reqid));
  const running = new Set(sas.flatMap((sa) => sa.children.map((child) => child.reqid)));
  await Promise.all(
    connections.map(async ({ name, children }) => {
      const wanted = children.filter(({ reqid }) => reqids.has(reqid) && !running.has(reqid));
      if (wanted.length > 0) {
        await attempt(async () => {
          await effects.announce(name);
          for (const child of wanted) {
            await attempt(() => effects.initiate(name, child.name));
          }
        });
      }
    }),
  );
  if (orphans.length > 0) {
    await effects.drain();
  }
  for (const orphan of orphans) {
    await effects.deleteKernel(orphan);
  }
  return orphans.length;
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ViciError) || error.reason === 'closed') {
      throw error;
    }
  }
}
