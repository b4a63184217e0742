import { abortError, ViciError } from './error.ts';

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** One signal that aborts when the caller's signal does or when the time limit is over. */
export function limit(options: WaitOptions, defaultMs: number): AbortSignal {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? defaultMs);
  return options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
}

/**
 * Waits for the promise, or fails with the signal's error if the signal aborts first. @throws ViciError
 * `timeout`, `aborted`
 */
export async function withSignal<T>(promise: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(abortError(what, signal));
  signal.addEventListener('abort', abort, { once: true });
  try {
    if (signal.aborted) {
      abort();
    }
    return await Promise.race([aborted, promise]);
  } catch (error) {
    throw error instanceof ViciError ? error : signal.aborted ? abortError(what, signal) : error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
