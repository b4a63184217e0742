/**
 * What there is to do, the least first: what has changed in the plan; charon's connections as well; or everything, the kernel compared with
 * the plan as a whole.
 */
const SCOPES = ['change', 'charon', 'all'] as const;
export type Scope = (typeof SCOPES)[number];

/** A latch between those who notice that something changed and the one loop that acts on it. */
export interface Wake {
  /** Wakes the waiter, or lets the next wait return at once. */
  notify(scope?: Scope): void;
  /** Resolves on notify to the widest scope since the last wait; to undefined after `timeoutMs`, or when the signal aborts. Never rejects. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<Scope | undefined>;
}

export function widest(...scopes: readonly (Scope | undefined)[]): Scope | undefined {
  return SCOPES.findLast((scope) => scopes.includes(scope));
}

export function createWake(): Wake {
  let pending: Scope | undefined;
  let release: (() => void) | undefined;
  return {
    notify(scope = 'all') {
      pending = widest(pending, scope);
      release?.();
    },
    async wait(timeoutMs, signal) {
      if (pending === undefined && !signal.aborted) {
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
      const found = pending;
      pending = undefined;
      return found;
    },
  };
}
