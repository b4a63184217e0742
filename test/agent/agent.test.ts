import test from 'ava';
import { pino } from 'pino';
import { REST_MS, runAgent } from '../../src/agent/agent.ts';
import { harness, snapshot } from '../helpers/unit/agent.ts';
import { seedCache } from '../helpers/unit/cache.ts';

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

test('a content that nobody could read is neither enforced nor taken, and what is in force stays', async (t) => {
  const { schema: _s, generation: _g, writtenAt: _w, ...content } = seedCache();
  const { effects, abort, beats, enforced, until } = harness({
    model: () => ({
      content: { ...content, unlisted: [{ proto: 'tcp', port: 70_000, child: 'x' }] },
      problems: [],
      phases: new Map(),
    }),
  });
  const running = runAgent(effects, seedCache({ generation: 7 }), abort.signal);
  await until(1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort();
  await running;
  t.deepEqual(
    enforced.map(({ generation, unlisted }) => [generation, unlisted]),
    enforced.map(() => [7, undefined]),
  );
  t.regex(beats.at(-1)?.sourceError ?? '', /^node cache: unlisted\.0\.port: /);
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

test('a hairpin that cannot be laid is said, makes the node unhealthy, and holds nothing back', async (t) => {
  const told: string[] = [];
  const { effects, abort, beats, until } = harness({
    publish: ({ error }) => void told.push(error),
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
  t.is(told.at(-1), 'nft: not found');
});

test('when somebody may have taken the hairpin away, it is kept anew', async (t) => {
  let kept = 0;
  let change: () => void = () => undefined;
  const { effects, abort, until } = harness({
    keepNetwork: async () => {
      kept += 1;
    },
    watchNetwork: async (onChange) => {
      change = onChange;
    },
  });
  const running = runAgent(effects, null, abort.signal);
  await until(1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const before = kept;
  change();
  await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort();
  await running;
  t.is(kept, before + 1);
});

test('news in quick succession are told of together', async (t) => {
  const rests: (() => void)[] = [];
  const { effects, abort, beats } = harness();
  const running = runAgent(
    {
      ...effects,
      sleep: (ms, signal) =>
        ms === REST_MS ? new Promise((resolve) => rests.push(resolve)) : effects.sleep(ms, signal),
      keepNetwork: async () => {
        throw new Error(`nft: not found ${beats.length}`);
      },
    },
    null,
    abort.signal,
  );
  for (let round = 1; round <= 20; round += 1) {
    effects.wake.notify('all');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.is(beats.length, 1);
  rests.shift()?.();
  await new Promise((resolve) => setTimeout(resolve, 5));
  t.is(beats.length, 2, 'what came meanwhile is told of at once');
  abort.abort();
  rests.shift()?.();
  await running;
});

test('news are told of at once, and cost the kernel no step', async (t) => {
  const { effects, abort, beats, enforced, until } = harness();
  const running = runAgent(effects, null, abort.signal);
  await until(1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const [told, steps] = [beats.length, enforced.length];
  effects.news.notify();
  await new Promise((resolve) => setTimeout(resolve, 5));
  t.true(beats.length > told);
  t.is(enforced.length, steps);
  abort.abort();
  await running;
});

test('what ends by time alone is modelled again, without an event', async (t) => {
  let due = false;
  let models = 0;
  const { effects, abort } = harness();
  const { model } = effects;
  const running = runAgent(
    {
      ...effects,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          signal?.addEventListener('abort', () => resolve());
          setTimeout(resolve, Math.min(ms, 1));
        }),
      model(snapshot, previous) {
        models += 1;
        return { ...model(snapshot, previous), due: () => due };
      },
    },
    null,
    abort.signal,
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.is(models, 1);
  due = true;
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.true(models > 1);
  abort.abort();
  await running;
});
