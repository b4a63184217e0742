import { setTimeout as delay } from 'node:timers/promises';

/** Waits so many milliseconds, or until the signal aborts. Never rejects. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
