import test from 'ava';
import { createKept } from '../../src/kube/kept.ts';

interface Value {
  readonly of: unknown;
  readonly flaw?: string;
}

const kept = () =>
  createKept<Value>(
    (raw) => {
      if (raw === 'throw') {
        throw new Error('boom');
      }
      return raw === 'unwanted' ? undefined : raw === 'bad' ? 'not understood' : { of: raw, ...flawed(raw) };
    },
    ({ flaw = '' }) => flaw,
  );
const flawed = (raw: unknown): { flaw?: string } => (raw === 'half' ? { flaw: 'only half' } : {});

test('what is not understood keeps its last good form, and says so until it is mended', (t) => {
  const all = kept();
  t.true(all.put('a', 1));
  t.false(all.put('a', 1));
  t.true(all.put('a', 'bad'));
  t.false(all.put('a', 'bad'));
  t.deepEqual([[...all.items], [...all.problems]], [[['a', { of: 1 }]], [['a', 'not understood']]]);
  t.true(all.put('a', 1));
  t.is(all.problems.size, 0);
});

test('a parser that throws does not end a list', (t) => {
  const all = kept();
  t.true(all.put('a', 'throw'));
  t.deepEqual([...all.problems], [['a', 'boom']]);
});

test('a value with a flaw is kept, and its flaw told', (t) => {
  const all = kept();
  t.true(all.put('a', 'half'));
  t.false(all.put('a', 'half'));
  t.deepEqual([[...all.items.keys()], [...all.problems]], [['a'], [['a', 'only half']]]);
  t.true(all.put('a', 2));
  t.is(all.problems.size, 0);
});

test('what is not wanted counts as not there', (t) => {
  const all = kept();
  t.false(all.put('a', 'unwanted'));
  t.is(all.version, 0);
  t.true(all.put('a', 1));
  t.true(all.put('a', 'unwanted'));
  t.is(all.items.size, 0);
});

test('a list takes away what it does not have, whether it was understood or not', (t) => {
  const all = kept();
  all.put('a', 1);
  all.put('b', 'bad');
  all.put('c', 3);
  t.true(all.removeAllBut(new Set(['c'])));
  t.deepEqual([[...all.items.keys()], all.problems.size], [['c'], 0]);
  t.false(all.removeAllBut(new Set(['c'])));
  t.false(all.remove('b'));
});
