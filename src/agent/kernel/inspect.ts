import type { Wake } from '../../util/wake.ts';
import type { NodeKernel } from './node-kernel.ts';

/**
 * How often each policy of the kernel is looked at; less often where that takes more than a five-hundredth of
 * the time.
 */
const FIRST_MS = 30_000;
const FACTOR = 500;
const LATEST_MS = 300_000;

export interface InspectEffects {
  readonly kernel: Pick<NodeKernel, 'intact'>;
  readonly wake: Wake;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly now: () => number;
}

/**
 * Looks at each policy of the kernel from time to time, and wakes the loop for a whole comparison if somebody
 * has changed one. Events go on meanwhile. Runs until the signal aborts.
 */
export async function keepInspecting(
  { kernel, wake, sleep, now }: InspectEffects,
  signal: AbortSignal,
): Promise<void> {
  let tookMs = 0;
  for (;;) {
    await sleep(Math.min(Math.max(FIRST_MS, FACTOR * tookMs), LATEST_MS), signal);
    if (signal.aborted) {
      return;
    }
    const started = now();
    if (!(await kernel.intact().catch(() => false))) {
      wake.notify('all');
    }
    tookMs = now() - started;
  }
}
