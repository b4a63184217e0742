import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ROOT } from '../helpers/root.ts';
import { CHAPTERS } from './leaks/chapters.ts';
import { MUTATIONS } from './leaks/mutations.ts';

const rows = new Set(CHAPTERS.flatMap((chapter) => chapter.rows.map(({ id }) => id)));

for (const { name, row, edits } of MUTATIONS) {
  test(`mutation ${name}: what it takes out is there, and so is its row`, (t) => {
    t.true(rows.has(row), row);
    for (const { file, from, to } of edits) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      t.true(text.includes(from), `${file}: ${from}`);
      t.not(from, to);
    }
  });
}

test('no two rows of the leak table have one name', (t) => {
  t.is(rows.size, CHAPTERS.flatMap((chapter) => chapter.rows).length);
});
