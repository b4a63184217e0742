/**
 * Small things that know nothing of IPsec, Kubernetes or CNI: waiting and waking, watching a folder, an HTTP
 * server, remembering results, texts of errors and of files' state.
 *
 * Any room may import from here. This room imports nothing of the project. What the plugin loads of it
 * (stamp, message-of, text) costs every pod's start: no package may be imported there.
 */
/**
 * How much there is to do, from the least to the most. `change`: bring into the kernel what has changed in
 * the plan. `charon`: compare charon's connections as well. `all`: compare everything, the kernel with the
 * whole plan.
 */
const SCOPES = ['change', 'charon', 'all'] as const;
export type Scope = (typeof SCOPES)[number];

/** A latch between those who notice that something changed and the one loop that acts on it. */
export interface Wake {
  /** Wakes the waiter. If nobody waits, the next wait returns at once. */
  notify(scope?: Scope): void;
  /**
   * Resolves on `notify`, to the widest scope that was given since the last wait. Resolves to undefined after
   * `timeoutMs`, or when the signal aborts. Never rejects.
   */
  wait(timeoutMs: number, signal: AbortSignal): Promise<Scope | undefined>;
}

/** The scope that asks for the most; undefined if none is given. */
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
