import { setTimeout as delay } from 'node:timers/promises';

/** Waits without failing: an abort ends the wait. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
