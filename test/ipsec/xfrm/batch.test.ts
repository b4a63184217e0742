import test from 'ava';
import fc from 'fast-check';
import type { Operation } from '../../../src/ipsec/xfrm/operation.ts';
import { runBatch } from '../../../src/ipsec/xfrm/write/batch.ts';
import { createFakeKernel } from '../../helpers/unit/fake-kernel.ts';
import { policy, selector } from './policies.ts';

const add = (sport: number): Operation => ({ op: 'add', policy: policy({ selector: selector({ sport }) }) });
const many = (count: number): Operation[] => Array.from({ length: count }, (_, index) => add(index + 1));

test('many operations are one process with few questions', async (t) => {
  const kernel = createFakeKernel();
  t.deepEqual(await runBatch({ run: kernel.run, ip: '/ip' }, many(1_000)), { done: 1_000, count: 1_000 });
  t.is(kernel.commands.length, 1);
  t.is(kernel.commands[0]?.input?.match(/policy count/g)?.length, 1 + Math.ceil(1_000 / 64));
});

test('wherever a batch ends, it says how far it came', async (t) => {
  const count = fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 65, max: 400 }));
  await fc.assert(
    fc.asyncProperty(count, fc.nat(), fc.nat(), fc.boolean(), async (length, at, others, deletes) => {
      const kernel = createFakeKernel();
      const iproute2 = { run: kernel.run, ip: '/ip' };
      await runBatch(
        iproute2,
        many(others % 90).map((each) => ({ ...each, policy: { ...each.policy, dir: 'fwd' } })),
      );
      const adds = many(length);
      const operations: Operation[] = deletes
        ? adds.map(({ policy: given }) => ({ op: 'delete', policy: given }))
        : adds;
      if (deletes) {
        await runBatch(iproute2, adds);
      }
      const line = at % length;
      kernel.failAt = { line, said: 'Cannot allocate memory' };
      const { done, said } = await runBatch(iproute2, operations);
      t.is(done, line);
      t.regex(said ?? '', /Cannot allocate memory/);
    }),
    { numRuns: 200 },
  );
});

test('updates stand alone: what changes no number is asked for at once', async (t) => {
  const kernel = createFakeKernel();
  const iproute2 = { run: kernel.run, ip: '/ip' };
  const adds = many(100);
  await runBatch(iproute2, adds);
  const updates = adds.map(
    ({ policy: given }): Operation => ({ op: 'update', policy: given, previous: given }),
  );
  kernel.failAt = { line: 70, said: 'Cannot allocate memory' };
  t.is((await runBatch(iproute2, updates)).done, 70);
});
