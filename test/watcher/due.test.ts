import test from 'ava';
import { dueScope } from '../../src/watcher/due.ts';

const state = { reconcileError: '', compared: { at: 1_000_000, tookMs: 20 }, charonAt: 1_000_000 };

test('a small table is compared every 30 s, one that takes long every 500 times as long, all within 5 minutes', (t) => {
  const after = (tookMs: number): number => {
    const slow = { ...state, compared: { at: 1_000_000, tookMs }, charonAt: 1_300_000 };
    return [30_000, 50_000, 100_000, 300_000].find((ms) => dueScope(slow, 1_000_000 + ms) === 'all') ?? 0;
  };
  t.deepEqual([5, 60, 100, 200, 10_000].map(after), [30_000, 30_000, 50_000, 100_000, 300_000]);
});

test('charon is compared every 30 s, a step that failed is repeated', (t) => {
  const large = { ...state, compared: { at: 1_000_000, tookMs: 500 } };
  t.is(dueScope(large, 1_029_999), undefined);
  t.is(dueScope(large, 1_030_000), 'charon');
  t.is(dueScope({ ...large, reconcileError: 'no' }, 1_000_001), 'all');
});
