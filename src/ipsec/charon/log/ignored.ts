import { CONNECTION_PREFIX } from '../../plan/connections.ts';
import type { ViciMessage } from '../../vici/message.ts';
import type { ChildSa, IkeSa } from '../replies.ts';

/**
 * charon ignores the kernel's acquires for a trap while an attempt for it is pending, and never takes one for ended whose CHILD_SA has a label (the
 * acquire had none; `complete` of trap_manager.c, 5.9.8), or that it dropped for a CHILD_SA that was there already. Once that one goes, only the
 * end of the IKE_SA would have anything negotiated again.
 */
const IGNORED = /^ignoring acquire for reqid (\d+), connection attempt pending/;
const DUPLICATE = /^not establishing CHILD_SA (\S+)\{\d+\} due to existing duplicate/;

/** A trap whose acquire charon has not answered, by its reqid or by its names. */
export type Ignored = { readonly reqid: number } | { readonly connection: string; readonly child: string };

/** What an event `log` of VICI tells of an acquire that came to nothing. */
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

/** Not one on its way out. */
export const isStanding = ({ state }: Pick<ChildSa, 'state'>): boolean => !LEAVING.has(state);

/**
 * What an acquire finds: an SA that charon takes for `up`, an attempt that is `pending` or will be made for the next acquire, or neither: it is
 * `stuck`. `sas`: all of the connection.
 */
export function stateOfTrap(sas: readonly IkeSa[], reqid: number): 'up' | 'pending' | 'stuck' {
  const children = sas.flatMap((sa) => sa.children);
  if (children.some((child) => child.reqid === reqid && isStanding(child))) {
    return 'up';
  }
  const idle = sas.every(({ state, negotiating }) => state === 'ESTABLISHED' && !negotiating);
  return sas.length > 0 && idle ? 'stuck' : 'pending';
}
