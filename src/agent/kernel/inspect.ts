import type { Wake } from '../../util/wake.ts';

/** How often each policy of the kernel is looked at: more seldom if that takes longer than a five-hundredth of the time. */
const FIRST_MS = 30_000;
const FACTOR = 500;
const LATEST_MS = 300_000;

export interface InspectEffects {
  /** False if the kernel has not what was laid. */
  readonly intact: () => Promise<boolean>;
  readonly wake: Wake;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly now: () => number;
}

/** Has everything compared when somebody else was at the kernel's policies. Events go on meanwhile. Runs until the signal aborts. */
export async function keepInspecting(
  { intact, wake, sleep, now }: InspectEffects,
  signal: AbortSignal,
): Promise<void> {
  let tookMs = 0;
  for (;;) {
    await sleep(Math.min(Math.max(FIRST_MS, FACTOR * tookMs), LATEST_MS), signal);
    if (signal.aborted) {
      return;
    }
    const started = now();
    if (!(await intact().catch(() => false))) {
      wake.notify('all');
    }
    tookMs = now() - started;
  }
}
