import type { AgentState } from './state.ts';
import type { Scope } from './wake.ts';

/** How often charon is compared with the plan, whatever events say. */
const CHARON_MS = 30_000;
/** How often each policy of the kernel is: more seldom if that takes longer than a five-hundredth of the time. */
const KERNEL_MS = 30_000;
const KERNEL_FACTOR = 500;
const KERNEL_LATEST_MS = 300_000;

/** What has not been looked at for long, or did not end well. */
export function dueScope(
  { reconcileError, compared, charonAt }: Pick<AgentState, 'reconcileError' | 'compared' | 'charonAt'>,
  now: number,
): Scope | undefined {
  const every = Math.min(Math.max(KERNEL_MS, KERNEL_FACTOR * compared.tookMs), KERNEL_LATEST_MS);
  if (reconcileError !== '' || now - compared.at >= every) {
    return 'all';
  }
  return now - charonAt >= CHARON_MS ? 'charon' : undefined;
}
