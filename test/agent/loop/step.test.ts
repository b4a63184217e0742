import test from 'ava';
import type { Enforced } from '../../../src/agent/kernel/enforce.ts';
import { createStepper, type StepEffects, type Stepper } from '../../../src/agent/loop/step.ts';
import { nextCache } from '../../../src/agent/model/next-cache.ts';
import type { ConnectionConfig } from '../../../src/ipsec/plan/types.ts';
import type { NodeCacheContent } from '../../../src/rundir/schema.ts';
import { seedCache } from '../../helpers/unit/cache.ts';
import { IN_STEP } from '../../helpers/unit/enforced.ts';

interface Recorder {
  readonly calls: string[];
  readonly stepper: Stepper;
  readonly enforce: () => Promise<Enforced>;
}

function recorder(overrides: Partial<StepEffects> = {}): Recorder {
  const calls: string[] = [];
  const stepper = createStepper({
    loadConnections: async () => void calls.push('load'),
    pruneConnections: async () => void calls.push('prune'),
    sleep: () => new Promise(() => undefined),
    ...overrides,
  });
  const enforce = async (): Promise<Enforced> => {
    calls.push('enforce');
    return IN_STEP;
  };
  return { calls, stepper, enforce };
}

/** A charon that prunes until it is told to have ended. */
function slowRecorder(): Recorder & { readonly prunes: (() => void)[] } {
  const prunes: (() => void)[] = [];
  const slow = recorder({
    pruneConnections: () =>
      new Promise((resolve) => {
        slow.calls.push('prune');
        prunes.push(resolve);
      }),
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
  });
  return { ...slow, prunes };
}

test('charon learns children before the kernel names them, and forgets them after', async (t) => {
  const { calls, stepper, enforce } = recorder();
  await stepper.step(seedCache(), enforce);
  await stepper.charon();
  t.deepEqual(calls, ['load', 'enforce', 'prune']);
});

test('a charon that does not answer does not hold back the kernel', async (t) => {
  const { calls, stepper, enforce } = recorder({
    loadConnections: () => new Promise(() => undefined),
    sleep: async () => undefined,
  });
  await stepper.step(seedCache(), enforce);
  await stepper.step(seedCache(), enforce);
  t.deepEqual(calls, ['enforce', 'enforce']);
});

test('what a step loads is not what the one before it prunes', async (t) => {
  const { calls, stepper, enforce, prunes } = slowRecorder();
  await stepper.step(seedCache(), enforce);
  await stepper.step(seedCache(), enforce);
  t.deepEqual(calls, ['load', 'enforce', 'prune', 'enforce']);
  prunes.shift()?.();
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(calls, ['load', 'enforce', 'prune', 'enforce', 'load', 'prune']);
  prunes.shift()?.();
  await t.notThrowsAsync(stepper.charon());
});

test('of the steps that wait for charon the last one’s part is done, and the others are told that it is not theirs', async (t) => {
  const { calls, stepper, enforce, prunes } = slowRecorder();
  await stepper.step(seedCache(), enforce);
  const told: boolean[] = [];
  for (let round = 0; round < 3; round += 1) {
    await stepper.step(seedCache(), enforce);
    void stepper.charon().then((mine) => told.push(mine));
  }
  prunes.shift()?.();
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(calls, ['load', 'enforce', 'prune', 'enforce', 'enforce', 'enforce', 'load', 'prune']);
  t.deepEqual(told, [false, false]);
  prunes.shift()?.();
  await stepper.charon();
  t.deepEqual(told, [false, false, true]);
});

test('a charon that fails is reported by itself, and the next step asks it again', async (t) => {
  let refusals = 1;
  const { calls, stepper, enforce } = recorder({
    async loadConnections() {
      if (refusals-- > 0) {
        throw new Error('load-conn k8s-node-a: refused');
      }
    },
  });
  await stepper.step(seedCache(), enforce);
  await t.throwsAsync(stepper.charon(), { message: /refused/ });
  t.deepEqual(calls, ['enforce']);
  await stepper.step(seedCache(), enforce);
  await stepper.charon();
  t.deepEqual(calls, ['enforce', 'enforce', 'prune']);
});

test('a kernel that refuses leaves charon as it is', async (t) => {
  const { calls, stepper } = recorder();
  const refuse = async (): Promise<Enforced> => {
    throw new Error('no XFRM');
  };
  await t.throwsAsync(stepper.step(seedCache(), refuse), { message: 'no XFRM' });
  await t.throwsAsync(stepper.charon(), { message: 'no XFRM' });
  t.deepEqual(calls, ['load']);
});

test('connections are planned anew only when what they are made from has changed', async (t) => {
  const loads: (readonly ConnectionConfig[])[] = [];
  const { stepper, enforce } = recorder({
    loadConnections: async (connections) => void loads.push(connections),
  });
  const first = seedCache();
  const caches = [first, { ...first, endpoints: [], generation: 2 }, { ...first, children: [] }, first];
  for (const cache of caches) {
    await stepper.step(cache, enforce);
    await stepper.charon();
  }
  const [a, b, c, d] = loads;
  t.true((a?.length ?? 0) > 0);
  t.is(b, a);
  t.deepEqual(c, []);
  t.deepEqual(d, a);
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
