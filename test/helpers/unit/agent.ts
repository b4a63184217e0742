import { pino } from 'pino';
import { REST_MS } from '../../../src/agent/agent.ts';
import type { CharonLink } from '../../../src/agent/charon/link.ts';
import type { AgentEffects } from '../../../src/agent/effects.ts';
import type { Snapshot } from '../../../src/cluster/snapshot.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { createWake } from '../../../src/util/wake.ts';
import { seedCache } from './cache.ts';
import { IN_STEP } from './enforced.ts';
import { cluster } from './objects.ts';

/** An empty cluster. */
export const snapshot: Snapshot = {
  objects: cluster({ nodes: [] }),
  problems: [],
  stale: '',
};

/** An agent whose effects do nothing, unless told otherwise. */
export interface Harness {
  readonly effects: AgentEffects;
  readonly abort: AbortController;
  readonly beats: Parameters<AgentEffects['writeHeartbeat']>[0][];
  readonly enforced: NodeCache[];
  /** Resolves once so many caches were enforced. */
  until(count: number): Promise<void>;
}

export function harness(overrides: Partial<AgentEffects> = {}): Harness {
  const abort = new AbortController();
  const beats: Harness['beats'] = [];
  const enforced: NodeCache[] = [];
  const waiters: { count: number; resolve: () => void }[] = [];
  const charon: CharonLink = {
    error: () => '',
    run: (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    load: async () => undefined,
    prune: async () => undefined,
    forgetRebooted: async () => undefined,
    renew: async () => undefined,
    pins: () => new Map(),
    bringUp: async () => undefined,
    report: async () => ({ ikeSas: 0, childSas: 0, certificate: null, failures: [] }),
  };
  const { schema: _s, generation: _g, writtenAt: _w, ...content } = seedCache();
  const effects: AgentEffects = {
    source: {
      async *watch(signal) {
        yield snapshot;
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      },
    },
    charon,
    wake: createWake(),
    news: createWake(),
    model: () => ({ content, problems: [], phases: new Map() }),
    kernel: {
      async enforce(cache) {
        enforced.push(cache);
        for (const waiter of waiters.filter(({ count }) => enforced.length >= count)) {
          waiter.resolve();
        }
        return IN_STEP;
      },
      undisturbed: async () => true,
      intact: async () => true,
    },
    keepNetwork: async () => undefined,
    watchNetwork: async () => undefined,
    warmUp: async () => undefined,
    watchAttachments: () => undefined,
    notices: () => [],
    publish: () => undefined,
    writeHeartbeat: (beat) => void beats.push(beat),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        signal?.addEventListener('abort', () => resolve());
        if (signal === undefined || ms === REST_MS) {
          setImmediate(resolve);
        }
      }),
    now: () => 42,
    log: pino({ level: 'silent' }),
    ...overrides,
  };
  const until = (count: number): Promise<void> =>
    enforced.length >= count ? Promise.resolve() : new Promise((resolve) => waiters.push({ count, resolve }));
  return { effects, abort, beats, enforced, until };
}

/** Snapshots that say each that another endpoint has come, the next when the one before is in the kernel. */
export function coming(
  effects: AgentEffects,
  count: number,
): { readonly effects: AgentEffects; readonly done: Promise<number> } {
  const { schema: _s, generation: _g, writtenAt: _w, ...content } = seedCache();
  let round = 0;
  let proceed: () => void = () => undefined;
  let finish: (rounds: number) => void = () => undefined;
  const done = new Promise<number>((resolve) => {
    finish = resolve;
  });
  const following: AgentEffects = {
    ...effects,
    source: {
      async *watch() {
        for (; round < count; round += 1) {
          const enforced = new Promise<void>((resolve) => {
            proceed = resolve;
          });
          yield snapshot;
          await enforced;
        }
        finish(round);
        await new Promise(() => undefined);
      },
    },
    model: () => ({
      content: { ...content, endpoints: content.endpoints.slice(0, round % 2) },
      problems: [],
      phases: new Map(),
    }),
    kernel: {
      ...effects.kernel,
      async enforce() {
        setImmediate(proceed);
        return IN_STEP;
      },
    },
  };
  return { effects: following, done };
}
