import type { Scope } from '../../util/wake.ts';
import type { AgentState } from '../state.ts';

/** How often charon is compared with the plan, whatever events say. */
const CHARON_MS = 30_000;

/** What has not been looked at for long, or did not end well. */
export function dueScope(
  { reconcileError, charonAt }: Pick<AgentState, 'reconcileError' | 'charonAt'>,
  now: number,
): Scope | undefined {
  if (reconcileError !== '') {
    return 'all';
  }
  return now - charonAt >= CHARON_MS ? 'charon' : undefined;
}
