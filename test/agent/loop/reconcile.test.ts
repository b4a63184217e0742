import test from 'ava';
import { runAgent } from '../../../src/agent/agent.ts';
import type { CharonLink } from '../../../src/agent/charon/link.ts';
import type { AgentEffects } from '../../../src/agent/effects.ts';
import { coming, harness, snapshot } from '../../helpers/unit/agent.ts';
import { seedCache } from '../../helpers/unit/cache.ts';
import { IN_STEP } from '../../helpers/unit/enforced.ts';

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
      kernel: {
        ...effects.kernel,
        async enforce() {
          if (failures-- > 0) {
            throw new Error('no XFRM here');
          }
          resolve();
          return IN_STEP;
        },
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

test('a policy that the kernel refuses makes the node unhealthy, and no step follows for its sake', async (t) => {
  const { effects, abort, beats, until } = harness();
  const reports: string[] = [];
  const refused = ['ip xfrm policy add dir out src 10.1.0.0/24: Invalid argument'];
  let steps = 0;
  let waits = 0;
  const running = runAgent(
    {
      ...effects,
      wake: {
        notify: () => undefined,
        wait: async (ms) => {
          waits += 1;
          t.true(waits < 3 || ms === 10_000, `${ms}`);
          await new Promise((next) => setTimeout(next, 1));
          return waits === 1 ? 'all' : undefined;
        },
      },
      publish: ({ error }) => void reports.push(error),
      kernel: {
        ...effects.kernel,
        enforce: async (cache) => {
          steps += 1;
          await effects.kernel.enforce(cache, {});
          return { ...IN_STEP, refused };
        },
      },
    },
    seedCache(),
    abort.signal,
  );
  await until(1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  abort.abort();
  await running;
  t.regex(
    beats.at(-1)?.reconcileError ?? '',
    /^1 policies are not in force, the kernel refuses them: ip xfrm policy add dir out/,
  );
  t.regex(reports.at(-1) ?? '', /Invalid argument/);
  t.true(waits > 5);
  t.is(steps, 1);
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
        kernel: { ...effects.kernel, enforce: async () => ({ ...IN_STEP, conflicts: [key] }) },
      },
      null,
      abort.signal,
    );
  });
  await done;
  abort.abort();
  t.true(beats.at(-1)?.reconcileError.includes(key));
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
      kernel: {
        ...effects.kernel,
        async enforce(_cache, { trusting }) {
          asked.push(trusting);
          setImmediate(next);
          return IN_STEP;
        },
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
      kernel: {
        ...effects.kernel,
        undisturbed: async () => answers.shift() ?? true,
        async enforce(_cache, { trusting }) {
          asked.push(trusting);
          if (asked.length === 2) {
            resolve();
          }
          return IN_STEP;
        },
      },
    };
    void runAgent(watching, null, abort.signal);
  });
  await done;
  abort.abort();
  t.deepEqual([asked, answers], [[false, false], []]);
});

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
        return ms === 2_000 ? new Promise((resolve) => setTimeout(resolve, 5)) : effects.sleep(ms, signal);
      },
    },
    null,
    abort.signal,
  );
  await until(2);
  await new Promise((resolve) => setTimeout(resolve, 20));
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
    kernel: {
      ...effects.kernel,
      async enforce() {
        setTimeout(proceed, 5);
        return IN_STEP;
      },
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
