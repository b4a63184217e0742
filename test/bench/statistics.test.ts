import test from 'ava';
import { median, medianRatio } from './statistics.ts';

test('median', (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(median([7]), 7);
  t.true(Number.isNaN(median([])));
});

test('a ratio is taken within a round', (t) => {
  t.is(medianRatio([2, 20, 30], [1, 10, 10]), 2);
  t.true(Number.isNaN(medianRatio([1], [])));
});
