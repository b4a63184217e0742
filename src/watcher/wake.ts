/** A latch between those who notice that something changed and the one loop that acts on it. */
export interface Wake {
  /** Wakes the waiter, or lets the next wait return at once. */
  notify(): void;
  /** Resolves on notify, after `timeoutMs`, or when the signal aborts; never rejects. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<void>;
}

export function createWake(): Wake {
  let pending = false;
  let release: (() => void) | undefined;
  return {
    notify() {
      pending = true;
      release?.();
    },
    async wait(timeoutMs, signal) {
      if (!pending && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            clearTimeout(timer);
            signal.removeEventListener('abort', done);
            resolve();
          };
          const timer = setTimeout(done, timeoutMs);
          signal.addEventListener('abort', done);
          release = done;
        });
      }
      release = undefined;
      pending = false;
    },
  };
}
