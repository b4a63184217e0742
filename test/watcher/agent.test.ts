import test from 'ava';
import { pino } from 'pino';
import type { NodeCache } from '../../src/cache/schema.ts';
import { type AgentEffects, runAgent } from '../../src/watcher/agent.ts';
import type { CharonLink } from '../../src/watcher/charon/link.ts';
import type { Snapshot } from '../../src/watcher/objects.ts';
import { createWake } from '../../src/watcher/wake.ts';
import { seedCache } from '../helpers/cache.ts';
import { IN_STEP } from '../helpers/enforced.ts';

const snapshot: Snapshot = {
  objects: { services: [], endpointSlices: [], nodes: [], pods: [], policies: [] },
  problems: [],
  stale: '',
};

interface Harness {
  readonly effects: AgentEffects;
  readonly abort: AbortController;
  readonly beats: Parameters<AgentEffects['writeHeartbeat']>[0][];
  readonly enforced: NodeCache[];
  /** Resolves once so many caches were enforced. */
  until(count: number): Promise<void>;
}

function harness(overrides: Partial<AgentEffects> = {}): Harness {
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
    model: () => ({ content, problems: [], phases: new Map() }),
    async enforce(cache) {
      enforced.push(cache);
      for (const waiter of waiters.filter(({ count }) => enforced.length >= count)) {
        waiter.resolve();
      }
      return IN_STEP;
    },
    undisturbed: async () => true,
    intact: async () => true,
    keepNetwork: async () => undefined,
    warmUp: async () => undefined,
    watchAttachments: () => undefined,
    publish: () => undefined,
    writeHeartbeat: (beat) => void beats.push(beat),
    sleep: (_ms, signal) =>
      signal === undefined
        ? Promise.resolve()
        : new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    now: () => 42,
    log: pino({ level: 'silent' }),
    ...overrides,
  };
  const until = (count: number): Promise<void> =>
    enforced.length >= count ? Promise.resolve() : new Promise((resolve) => waiters.push({ count, resolve }));
  return { effects, abort, beats, enforced, until };
}

test('the first snapshot is enforced and reported in the heartbeat', async (t) => {
  const { effects, abort, beats, enforced, until } = harness();
  const running = runAgent(effects, null, abort.signal);
  await until(1);
  await new Promise((resolve) => setImmediate(resolve));
  abort.abort();
  await running;
  t.is(enforced[0]?.generation, 1);
  t.like(beats.at(-1), { enforcedGeneration: 1, sourceError: '', reconcileError: '', charonError: '' });
});

test('what an earlier agent wrote is enforced before the source has spoken', async (t) => {
  const { effects, abort, enforced, until } = harness({
    source: {
      async *watch(signal) {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        yield* [];
      },
    },
  });
  const initial = seedCache({ generation: 7, writtenAt: 1 });
  const running = runAgent(effects, initial, abort.signal);
  await until(1);
  abort.abort();
  await running;
  t.is(enforced[0]?.generation, 7);
  t.is(enforced[0]?.writtenAt, 1, 'the age of the cache stays what it is while the source is silent');
});

test('a step that fails is retried, and said in the heartbeat until it succeeds', async (t) => {
  let failures = 2;
  const { effects, abort, beats } = harness();
  const done = new Promise<void>((resolve) => {
    const failing: AgentEffects = {
      ...effects,
      wake: {
        notify: () => undefined,
        wait: async () => new Promise((next) => setTimeout(() => next('all'), 1)),
      },
      async enforce() {
        if (failures-- > 0) {
          throw new Error('no XFRM here');
        }
        resolve();
        return IN_STEP;
      },
    };
    void runAgent(failing, null, abort.signal);
  });
  await done;
  await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort();
  t.true(beats.some(({ reconcileError }) => reconcileError === 'no XFRM here'));
  t.is(beats.at(-1)?.reconcileError, '');
});

test('a policy of somebody else in the way is an error that names it', async (t) => {
  const key = 'out 10.1.0.3/32 10.2.0.0/24 udp 53 0';
  const { effects, abort, beats } = harness();
  const done = new Promise<void>((resolve) => {
    void runAgent(
      {
        ...effects,
        writeHeartbeat: (beat) => {
          beats.push(beat);
          if (beat.reconcileError !== '') {
            resolve();
          }
        },
        enforce: async () => ({ ...IN_STEP, conflicts: [key] }),
      },
      null,
      abort.signal,
    );
  });
  await done;
  abort.abort();
  t.true(beats.at(-1)?.reconcileError.includes(key));
});

test('a source that cannot be read at the start ends the agent with its message', async (t) => {
  const { effects, abort } = harness({
    source: {
      watch() {
        throw new Error('/etc/trapline/cluster: no such directory');
      },
    },
  });
  await t.throwsAsync(runAgent(effects, null, abort.signal), { message: /no such directory/ });
});

test('a cluster that cannot be understood is said, and what is in force stays', async (t) => {
  const { effects, abort, beats, enforced, until } = harness({
    model: () => {
      throw new Error('Node a: not there');
    },
  });
  const running = runAgent(effects, seedCache({ generation: 7 }), abort.signal);
  await until(1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort();
  await running;
  t.is(enforced.at(-1)?.generation, 7);
  t.is(beats.at(-1)?.sourceError, 'Node a: not there');
});

test('what is refused is logged once when it comes and once when it goes, and is in the heartbeat', async (t) => {
  const problem = { where: 'Node b', message: 'no address' };
  const lines: string[] = [];
  let snapshots = 0;
  const { effects, abort, beats } = harness({
    log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }),
    source: {
      async *watch() {
        for (const problems of [[problem], [problem], []]) {
          yield { ...snapshot, problems };
          await new Promise((resolve) => setTimeout(resolve, 5));
          snapshots += 1;
        }
      },
    },
  });
  await Promise.race([
    runAgent(effects, null, abort.signal),
    new Promise<void>((resolve) => {
      const poll = setInterval(() => {
        if (snapshots === 3) {
          clearInterval(poll);
          resolve();
        }
      }, 1);
    }),
  ]);
  abort.abort();
  const said = lines
    .filter((line) => line.includes('Node b'))
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
  t.deepEqual(said, ['not in force as written', 'no longer a problem']);
  t.true(beats.some(({ problems }) => problems[0] === 'Node b: no address'));
  t.deepEqual(beats.at(-1)?.problems, []);
});

test('a hairpin that cannot be laid is said, and holds nothing back', async (t) => {
  const { effects, abort, beats, until } = harness({
    keepNetwork: async () => {
      throw new Error('nft: not found');
    },
  });
  const running = runAgent(effects, null, abort.signal);
  await until(1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort();
  await running;
  t.like(beats.at(-1), { hairpinError: 'nft: not found', reconcileError: '', enforcedGeneration: 1 });
});

test('pods that come and go elsewhere cost charon nothing, and no look at the whole kernel', async (t) => {
  const { schema: _s, generation: _g, writtenAt: _w, ...content } = seedCache();
  const contents = [content, { ...content, endpoints: [] }, { ...content, endpoints: [], children: [] }];
  const asked: (boolean | undefined)[] = [];
  const loads: number[] = [];
  const { effects, abort } = harness();
  let next: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    const following: AgentEffects = {
      ...effects,
      source: {
        async *watch(signal) {
          for (let round = 0; round < contents.length && !signal.aborted; round += 1) {
            const enforced = new Promise<void>((proceed) => {
              next = proceed;
            });
            yield snapshot;
            await enforced;
          }
          resolve();
        },
      },
      model: () => ({ content: contents[asked.length] ?? content, problems: [], phases: new Map() }),
      charon: { ...effects.charon, load: async () => void loads.push(asked.length) },
      async enforce(_cache, { trusting }) {
        asked.push(trusting);
        setImmediate(next);
        return IN_STEP;
      },
    };
    void runAgent(following, null, abort.signal);
  });
  await done;
  abort.abort();
  t.deepEqual(asked, [true, true, true]);
  t.deepEqual(loads, [0, 2], 'children that are gone are');
});

test('a kernel with another number of policies than before is compared at once', async (t) => {
  const asked: (boolean | undefined)[] = [];
  const answers = [true, true, false];
  const { effects, abort } = harness({ now: Date.now });
  const done = new Promise<void>((resolve) => {
    const watching: AgentEffects = {
      ...effects,
      wake: {
        notify: () => undefined,
        wait: () =>
          new Promise((proceed) => setTimeout(() => proceed(asked.length === 0 ? 'all' : undefined), 1)),
      },
      undisturbed: async () => answers.shift() ?? true,
      async enforce(_cache, { trusting }) {
        asked.push(trusting);
        if (asked.length === 2) {
          resolve();
        }
        return IN_STEP;
      },
    };
    void runAgent(watching, null, abort.signal);
  });
  await done;
  abort.abort();
  t.deepEqual([asked, answers], [[false, false], []]);
});

/** Snapshots that say each that another endpoint has come, the next when the one before is in the kernel. */
function coming(
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
    async enforce() {
      setImmediate(proceed);
      return IN_STEP;
    },
  };
  return { effects: following, done };
}

for (const [what, overrides] of Object.entries({
  'a charon that does not end its comparison': {
    charon: { prune: () => new Promise<never>(() => undefined) },
  },
  'a charon that does not report': { charon: { report: () => new Promise<never>(() => undefined) } },
  'a network that is being laid': { keepNetwork: () => new Promise<never>(() => undefined) },
})) {
  test(`${what} holds back no event`, async (t) => {
    const { effects, abort } = harness();
    const { charon = {}, ...rest } = overrides as { charon?: Partial<CharonLink> } & Partial<AgentEffects>;
    const slow = coming({ ...effects, ...rest, charon: { ...effects.charon, ...charon } }, 5);
    void runAgent(slow.effects, null, abort.signal);
    t.is(await slow.done, 5);
    abort.abort();
  });
}

test('nobody is told of what charon has not taken, and charon is asked again', async (t) => {
  let refusals = 1;
  const { effects, abort, beats, until } = harness();
  const sleeps: number[] = [];
  const running = runAgent(
    {
      ...effects,
      charon: {
        ...effects.charon,
        async load() {
          if (refusals-- > 0) {
            throw new Error('load-conn k8s-node-a: refused');
          }
        },
      },
      async sleep(ms, signal) {
        sleeps.push(ms);
        return ms === 2_000 ? undefined : effects.sleep(ms, signal);
      },
    },
    null,
    abort.signal,
  );
  await until(2);
  await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort();
  await running;
  const failed = beats.find(({ reconcileError }) => reconcileError !== '');
  t.like(failed, { reconcileError: 'load-conn k8s-node-a: refused', enforcedGeneration: 0 });
  t.like(beats.at(-1), { reconcileError: '', enforcedGeneration: 1 });
  t.true(sleeps.includes(2_000));
});

test('a step whose part of charon was left to a later one is told with that one', async (t) => {
  const { schema: _s, generation: _g, writtenAt: _w, ...content } = seedCache();
  const prunes: (() => void)[] = [];
  const { effects, abort, beats } = harness();
  t.teardown(() => abort.abort());
  let proceed: () => void = () => undefined;
  const meshes = [false, true, false];
  let round = 0;
  const following: AgentEffects = {
    ...effects,
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        setImmediate(() => (signal === undefined ? resolve() : undefined));
      }),
    source: {
      async *watch() {
        for (; round < meshes.length; round += 1) {
          const enforced = new Promise<void>((resolve) => {
            proceed = resolve;
          });
          yield snapshot;
          await enforced;
        }
        await new Promise(() => undefined);
      },
    },
    model: () => ({
      content: { ...content, mesh: meshes[round] ?? false },
      problems: [],
      phases: new Map(),
    }),
    charon: {
      ...effects.charon,
      prune: () => new Promise((resolve) => prunes.push(() => resolve(undefined))),
    },
    async enforce() {
      setTimeout(proceed, 5);
      return IN_STEP;
    },
  };
  void runAgent(following, null, abort.signal);
  const told = (): number[] => [...new Set(beats.map(({ enforcedGeneration }) => enforcedGeneration))];
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.deepEqual(told(), [0]);
  prunes.shift()?.();
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.deepEqual(told(), [0, 1]);
  prunes.shift()?.();
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.deepEqual(told(), [0, 1, 3]);
});
