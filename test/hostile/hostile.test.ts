import test from 'ava';
import { ROWS } from './all.ts';
import { tryRow } from './row.ts';

for (const row of ROWS) {
  test(`${row.id} ${row.title}`, async (t) => {
    const { failure, mutated } = await tryRow(row);
    t.is(failure, '');
    t.not(mutated, '', `without the guard in ${row.mutation.file} the row must fail`);
  });
}

test('each row has an id of its own', (t) => {
  t.is(new Set(ROWS.map(({ id }) => id)).size, ROWS.length);
});
