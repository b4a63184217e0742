import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../helpers/unit/root.ts';
import { hasEsp } from '../vm/esp.ts';
import { runWithEsp } from '../vm/scenario.ts';
import { CHAPTERS } from './chapters.ts';
import { type MutationOutcome, renderLeaks } from './document.ts';
import { READY } from './mutant.ts';
import { mutationsNamed } from './mutations/all.ts';
import { prepareMutants } from './prepare.ts';
import type { Outcome } from './table.ts';

/**
 * `make leaks`: all rows, and writes docs/leaks.md and docs/leaks.json. `make leaks ROWS="2 6a"`: those rows, and writes their lines anew.
 * `make leaks MUTATE=all`, or some of them with commas: the mutations, and writes their lines anew. A run that is ended before it is
 * over (SIGTERM) writes what it has.
 */
interface Results {
  readonly outcomes?: readonly Outcome[];
  readonly mutations?: readonly MutationOutcome[];
}

const TIMEOUT_MS = 180 * 60_000;
const json = join(ROOT, 'docs/leaks.json');
const args = process.argv.slice(2).filter((word) => word !== '');
const folder = mkdtempSync(join(tmpdir(), 'trapline-leaks-'));
const results = join(folder, 'results.json');
const mutate = args.flatMap((word) => /^--mutate=(.+)$/.exec(word)?.[1] ?? [])[0];
if (mutate !== undefined) {
  await prepareMutants(mutationsNamed(mutate));
}
process.exitCode = await runWithEsp({ argv: ['leaks/leaks.js', ...args], results, timeoutMs: TIMEOUT_MS });
if (existsSync(results)) {
  const known: Results = existsSync(json) ? JSON.parse(readFileSync(json, 'utf8')) : {};
  const fresh = JSON.parse(readFileSync(results, 'utf8')) as Results;
  const again = new Set((fresh.mutations ?? []).map(({ mechanism }) => mechanism));
  const all = {
    outcomes: merged(known.outcomes ?? [], fresh.outcomes ?? []),
    mutations: [
      ...(known.mutations ?? []).filter(({ mechanism }) => !again.has(mechanism)),
      ...(fresh.mutations ?? []),
    ],
  };
  const where = (await hasEsp())
    ? `Linux ${release()}, ${cpus().length} cores`
    : `Debian's kernel in QEMU without acceleration, on ${cpus().length} cores: times are some ten times what they are otherwise`;
  writeFileSync(json, `${JSON.stringify(all, null, 2)}\n`);
  writeFileSync(join(ROOT, 'docs/leaks.md'), renderLeaks(all.outcomes, all.mutations, where));
}
rmSync(folder, { recursive: true });
rmSync(READY, { recursive: true, force: true });

/** What was measured before stays, but for rows that are no more. */
function merged(known: readonly Outcome[], fresh: readonly Outcome[]): Outcome[] {
  const ids = new Set(CHAPTERS.flatMap((chapter) => chapter.rows.map(({ id }) => id)));
  const byId = new Map([...known, ...fresh].map((outcome) => [outcome.id, outcome]));
  return [...byId.values()]
    .filter(({ id }) => ids.has(id))
    .sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }));
}
