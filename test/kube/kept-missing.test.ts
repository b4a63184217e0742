import test from 'ava';
import { createKept } from '../../src/kube/kept.ts';

const kept = (): ReturnType<typeof createKept<object>> => createKept((raw) => raw as object);

test('what a new list lacks is missing, what is seen to go is not', (t) => {
  const one = kept();
  for (const key of ['a', 'b', 'c']) {
    one.put(key, { key });
  }
  one.remove('a');
  t.true(one.removeAllBut(new Set(['c'])));
  t.deepEqual([...one.missing], ['b']);
  t.false(one.removeAllBut(new Set(['c'])));
  one.put('b', { key: 'b' });
  t.deepEqual([...one.missing], []);
});

test('of what is missing the newest are known', (t) => {
  const one = kept();
  for (let index = 0; index < 10_005; index += 1) {
    one.put(`${index}`, { index });
  }
  one.removeAllBut(new Set());
  t.is(one.missing.size, 10_000);
  t.true(one.missing.has('10004'));
  t.false(one.missing.has('4'));
});
