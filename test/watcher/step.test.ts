import test from 'ava';
import type { NodeCacheContent } from '../../src/cache/schema.ts';
import { nextCache, type StepEffects, step } from '../../src/watcher/step.ts';
import { seedCache } from '../helpers/cache.ts';
import { IN_STEP } from '../helpers/enforced.ts';

function recorder(overrides: Partial<StepEffects> = {}): { calls: string[]; effects: StepEffects } {
  const calls: string[] = [];
  const effects: StepEffects = {
    loadConnections: async () => void calls.push('load'),
    enforce: async () => {
      calls.push('enforce');
      return IN_STEP;
    },
    pruneConnections: async () => void calls.push('prune'),
    sleep: () => new Promise(() => undefined),
    ...overrides,
  };
  return { calls, effects };
}

test('charon learns children before the kernel names them, and forgets them after', async (t) => {
  const { calls, effects } = recorder();
  await step(seedCache(), effects);
  t.deepEqual(calls, ['load', 'enforce', 'prune']);
});

test('a charon that does not answer does not hold back the kernel', async (t) => {
  let answer: () => void = () => undefined;
  const loading = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const enforced = new Promise<void>((resolve) => {
    const { effects } = recorder({
      loadConnections: () => loading,
      enforce: async () => {
        resolve();
        return IN_STEP;
      },
      sleep: async () => undefined,
    });
    void step(seedCache(), effects);
  });
  await enforced;
  answer();
  t.pass();
});

test('a charon that fails is reported after the kernel is in step', async (t) => {
  const { calls, effects } = recorder({
    loadConnections: async () => {
      throw new Error('load-conn k8s-node-a: refused');
    },
  });
  await t.throwsAsync(step(seedCache(), effects), { message: /refused/ });
  t.deepEqual(calls, ['enforce']);
});

test('a kernel that refuses leaves charon as it is', async (t) => {
  const { calls, effects } = recorder({
    enforce: async () => {
      throw new Error('no XFRM');
    },
  });
  await t.throwsAsync(step(seedCache(), effects), { message: 'no XFRM' });
  t.deepEqual(calls, ['load']);
});

test('the generation counts changes of content, the time is always renewed', (t) => {
  const { schema: _schema, generation: _generation, writtenAt: _writtenAt, ...content } = seedCache();
  const same = nextCache(seedCache(), content, 5);
  t.is(same.generation, 1);
  t.is(same.writtenAt, 5);
  const changed: NodeCacheContent = { ...content, mesh: true };
  t.is(nextCache(seedCache(), changed, 6).generation, 2);
  t.is(nextCache(null, content, 7).generation, 1);
});
