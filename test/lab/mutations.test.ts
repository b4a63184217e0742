import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { compiled } from '../helpers/unit/compiled.ts';
import { ROOT } from '../helpers/unit/root.ts';
import { CHAPTERS } from './leaks/chapters.ts';
import type { MutationOutcome } from './leaks/document.ts';
import { MUTATIONS } from './leaks/mutations/all.ts';
import { isCaught } from './leaks/mutations/mutation.ts';
import type { Outcome } from './leaks/table.ts';

const edited = new Set(MUTATIONS.flatMap(({ edits }) => edits.map(({ file }) => file)));
const code = compiled([...edited].filter((file) => file.startsWith('build/')));
const textOf = (file: string): string => code.get(file) ?? readFileSync(join(ROOT, file), 'utf8');
const rows = new Set(CHAPTERS.flatMap((chapter) => chapter.rows.map(({ id }) => id)));

for (const { name, row, edits } of MUTATIONS) {
  test(`mutation ${name}: what it takes out is there, and so is its row`, (t) => {
    t.true(rows.has(row), row);
    for (const { file, from, to } of edits) {
      t.true(textOf(file).includes(from), `${file}: ${from}`);
      t.not(from, to);
    }
  });
}

test('no two rows of the leak table have one name', (t) => {
  t.is(rows.size, CHAPTERS.flatMap((chapter) => chapter.rows).length);
});

const FAILED: Outcome = {
  id: '9d',
  title: 'a spoofed pod address without ESP',
  clear: 0,
  control: 6,
  sent: 35,
  lost: 0,
  gapMs: 100,
  recoveryMs: 0,
  remark: 'the kernel has dropped nothing',
  ok: false,
};

test('a mutation counts as caught for what its mechanism prevents only', (t) => {
  const fails = /dropped nothing/;
  t.true(isCaught({ fails }, FAILED));
  t.false(isCaught({ fails }, { ...FAILED, remark: 'socat: Network is unreachable' }));
  t.false(isCaught({ fails }, { ...FAILED, ok: true }));
  t.false(isCaught({ fails: 'clear' }, FAILED));
  t.true(isCaught({ fails: 'clear' }, { ...FAILED, clear: 1 }));
  t.false(isCaught({ fails: 'lost' }, FAILED));
  t.true(isCaught({ fails: 'lost' }, { ...FAILED, lost: 1 }));
  t.false(isCaught({ fails: 'lost' }, { ...FAILED, lost: 1, ok: true }));
});

const { mutations }: { mutations: readonly MutationOutcome[] } = JSON.parse(
  readFileSync(join(ROOT, 'docs/leaks.json'), 'utf8'),
);

for (const { name, mechanism, row } of MUTATIONS) {
  test(`mutation ${name}: docs/leaks.md has its line, and its row failed`, (t) => {
    const line = mutations.find((one) => one.mechanism === mechanism);
    t.like(line, { row, caught: true });
  });
}
