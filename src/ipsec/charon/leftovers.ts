import { CONNECTION_PREFIX } from '../plan/connections.ts';
import type { ConnectionConfig } from '../plan/types.ts';
import type { IkeSa, TrapPolicy } from './replies.ts';

/**
 * Leftovers, which charon has and the plan has not, and traps that the plan has and charon has not.
 * Connections that are not ours never appear in it.
 */
export interface Leftovers {
  readonly connections: readonly string[];
  /** Unique ids. */
  readonly ikeSas: readonly number[];
  readonly childSas: readonly number[];
  readonly traps: readonly TrapName[];
  /** Children of the plan without a trap: nobody would answer the kernel's acquire. */
  readonly missingTraps: readonly TrapName[];
}

export type TrapName = Pick<TrapPolicy, 'ike' | 'child'>;

/** What charon has at one time. */
export interface CharonState {
  readonly connections: readonly string[];
  readonly sas: readonly IkeSa[];
  readonly traps: readonly TrapName[];
  readonly stale: ReadonlySet<number>;
}

/** States of an SA that will go away by itself. */
const LEAVING = new Set(['DELETING', 'DELETED', 'DESTROYING', 'REKEYED']);

/** Compares charon with the plan. A connection without children counts as not desired. */
export function findLeftovers(desired: readonly ConnectionConfig[], state: CharonState): Leftovers {
  const children = new Map(
    desired
      .filter((config) => config.children.length > 0)
      .map((config) => [config.name, new Set(config.children.map((child) => child.name))]),
  );
  const wanted = (ike: string, child: string): boolean => children.get(ike)?.has(child) ?? false;
  const sas = state.sas.filter((sa) => isOurs(sa.connection) && !LEAVING.has(sa.state));
  const doomed = (sa: IkeSa): boolean => !children.has(sa.connection) || state.stale.has(sa.uniqueId);
  const trapped = new Set(state.traps.map(({ ike, child }) => `${ike}/${child}`));
  return {
    connections: state.connections.filter((name) => isOurs(name) && !children.has(name)),
    ikeSas: sas.filter(doomed).map((sa) => sa.uniqueId),
    childSas: sas
      .filter((sa) => !doomed(sa))
      .flatMap((sa) =>
        sa.children.filter((child) => !LEAVING.has(child.state) && !wanted(sa.connection, child.name)),
      )
      .map((child) => child.uniqueId),
    traps: state.traps.filter(({ ike, child }) => isOurs(ike) && !wanted(ike, child)),
    missingTraps: [...children].flatMap(([ike, names]) =>
      [...names].filter((child) => !trapped.has(`${ike}/${child}`)).map((child) => ({ ike, child })),
    ),
  };
}

function isOurs(connection: string): boolean {
  return connection.startsWith(CONNECTION_PREFIX);
}
