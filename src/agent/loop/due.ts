import type { Scope } from '../../util/wake.ts';
import type { AgentState } from '../state.ts';

/** How often charon is compared with the plan, whatever events say. */
const CHARON_MS = 30_000;

/**
 * What the next step has to take in although no event asks for it: everything after a step that failed,
 * charon if it was not compared for CHARON_MS, or the clock was set back. Undefined: nothing.
 */
export function dueScope(
  { reconcileError, charonAt }: Pick<AgentState, 'reconcileError' | 'charonAt'>,
  now: number,
): Scope | undefined {
  if (reconcileError !== '') {
    return 'all';
  }
  // A step of the wall clock, in whatever direction, costs one comparison.
  return Math.abs(now - charonAt) >= CHARON_MS ? 'charon' : undefined;
}
