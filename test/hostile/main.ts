import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../helpers/unit/root.ts';
import { ROWS } from './all.ts';
import { renderHostile } from './document.ts';
import { type Outcome, tryRow } from './row.ts';

/** `make hostile`: every row and its mutation; writes docs/hostile.md. Rows given by id run alone, and nothing is written. */
const only = process.argv.slice(2);
const outcomes: Outcome[] = [];
for (const row of ROWS.filter(({ id }) => only.length === 0 || only.includes(id))) {
  const outcome = await tryRow(row);
  outcomes.push(outcome);
  const ok = outcome.failure === '' && outcome.mutated !== '';
  process.stdout.write(
    `${ok ? 'ok' : 'FAILED'} ${row.id} ${row.title} ${ok ? '' : outcome.failure || 'its mutation is not caught'}\n`,
  );
}
const failed = outcomes.filter(({ failure, mutated }) => failure !== '' || mutated === '').length;
process.stdout.write(`${outcomes.length - failed} passed, ${failed} failed\n`);
if (only.length === 0) {
  writeFileSync(join(ROOT, 'docs/hostile.md'), renderHostile(outcomes));
}
process.exitCode = failed > 0 || outcomes.length === 0 ? 1 : 0;
