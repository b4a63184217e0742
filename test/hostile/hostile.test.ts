import test from 'ava';
import { ROWS } from './all.ts';
import { mutationsOf, tryRow } from './row.ts';

for (const row of ROWS) {
  test(`${row.id} ${row.title}`, async (t) => {
    const { failure, mutated } = await tryRow(row);
    t.is(failure, '');
    t.not(mutated, '', `without its guard in ${mutationsOf(row)[0]?.file} the row must fail`);
  });
}

test('each row has an id of its own', (t) => {
  t.is(new Set(ROWS.map(({ id }) => id)).size, ROWS.length);
});
