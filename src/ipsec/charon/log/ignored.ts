import { CONNECTION_PREFIX } from '../../plan/connections.ts';
import type { ViciMessage } from '../../vici/message.ts';
import type { ChildSa, IkeSa } from '../replies.ts';

/**
 * charon ignores the kernel's acquires for a trap while an attempt for that trap is pending. In two cases it
 * never takes an attempt for ended: if the CHILD_SA has a label (the acquire had none; `complete` of
 * trap_manager.c, 5.9.8), and if it dropped the attempt because the CHILD_SA was there already. Once that
 * CHILD_SA goes, nothing but the end of the IKE_SA would make charon negotiate again (docs/design.md,
 * Orphans, ghosts and traps).
 */
const IGNORED = /^ignoring acquire for reqid (\d+), connection attempt pending/;
const DUPLICATE = /^not establishing CHILD_SA (\S+)\{\d+\} due to existing duplicate/;

/** A trap whose acquire charon has not answered: its reqid, or the names of its connection and child. */
export type Ignored = { readonly reqid: number } | { readonly connection: string; readonly child: string };

/** The trap that an event `log` of VICI tells of, if the event says that an acquire came to nothing. */
export function ignoredIn({ msg, 'ikesa-name': connection }: ViciMessage): Ignored | undefined {
  if (typeof msg !== 'string') {
    return undefined;
  }
  const reqid = IGNORED.exec(msg)?.[1];
  if (reqid !== undefined) {
    return { reqid: Number(reqid) };
  }
  const child = DUPLICATE.exec(msg)?.[1];
  return child !== undefined && typeof connection === 'string' && connection.startsWith(CONNECTION_PREFIX)
    ? { connection, child }
    : undefined;
}

const LEAVING = new Set(['DELETING', 'DELETED', 'DESTROYING', 'REKEYED']);

/** Whether a CHILD_SA is not on its way out. */
export const isStanding = ({ state }: Pick<ChildSa, 'state'>): boolean => !LEAVING.has(state);

/**
 * What becomes of an acquire for a trap. `up`: charon has an SA for it. `pending`: an attempt is under way,
 * or the next acquire will start one. `stuck`: neither, so nothing would be negotiated. `sas` has all IKE_SAs
 * of the connection.
 */
export function stateOfTrap(sas: readonly IkeSa[], reqid: number): 'up' | 'pending' | 'stuck' {
  const children = sas.flatMap((sa) => sa.children);
  if (children.some((child) => child.reqid === reqid && isStanding(child))) {
    return 'up';
  }
  const idle = sas.every(({ state, negotiating }) => state === 'ESTABLISHED' && !negotiating);
  return sas.length > 0 && idle ? 'stuck' : 'pending';
}
