import test from 'ava';
import { dueScope } from '../../../src/agent/loop/due.ts';

test('charon is compared every 30 s, a step that failed is repeated', (t) => {
  const state = { reconcileError: '', charonAt: 1_000_000 };
  t.is(dueScope(state, 1_029_999), undefined);
  t.is(dueScope(state, 1_030_000), 'charon');
  t.is(dueScope(state, 1_000), 'charon', 'a clock that was set back holds nothing up');
  t.is(dueScope({ ...state, reconcileError: 'no' }, 1_000_001), 'all');
});
