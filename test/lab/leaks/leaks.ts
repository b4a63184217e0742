import { writeFileSync } from 'node:fs';
import { keepLogs } from '../scenario.ts';
import { CHAPTERS, type Chapter } from './chapters.ts';
import type { MutationOutcome } from './document.ts';
import { preparedMutant, useMutant } from './mutant.ts';
import { mutationsNamed } from './mutations/all.ts';
import { isCaught, type Mutation } from './mutations/mutation.ts';
import { formatOutcome, type Outcome, type Row, runRow } from './table.ts';
import { createWorld, destroyWorld } from './world.ts';

/**
 * `leaks.js [<row> …] [--mutate=all|<mutation>,…]`: the leak table, some of its rows, or its mutations. Results go to the file in
 * TRAPLINE_RESULTS as well.
 */
const words = process.argv.slice(2);
const only = words.filter((word) => !word.startsWith('--'));
const mutate = words.flatMap((word) => /^--mutate=(.+)$/.exec(word)?.[1] ?? [])[0];
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const keep = (results: object): void => {
  if (process.env.TRAPLINE_RESULTS !== undefined) {
    writeFileSync(process.env.TRAPLINE_RESULTS, JSON.stringify(results));
  }
};

/** What a failed row leaves behind says nothing of the next: that one gets nodes of its own. */
async function runRows(
  { world: options }: Chapter,
  rows: readonly Row[],
  measured: (outcome: Outcome) => void = () => undefined,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let world = await createWorld(options);
  try {
    for (const row of rows) {
      if (outcomes.at(-1)?.ok === false) {
        await destroyWorld(world);
        world = await createWorld(options);
      }
      const outcome = await runRow(world, row);
      outcomes.push(outcome);
      measured(outcome);
      say(formatOutcome(outcome));
      if (!outcome.ok && mutate === undefined) {
        keepLogs(world.lab, row.id);
      }
    }
  } finally {
    await destroyWorld(world);
  }
  return outcomes;
}

async function runTable(): Promise<boolean> {
  const outcomes: Outcome[] = [];
  const measured = (outcome: Outcome): void => {
    outcomes.push(outcome);
    keep({ outcomes });
  };
  for (const chapter of CHAPTERS) {
    const rows = chapter.rows.filter(
      ({ id }) => only.length === 0 || only.some((word) => id.startsWith(word)),
    );
    if (rows.length > 0) {
      await runRows(chapter, rows, measured);
    }
  }
  const failed = outcomes.filter(({ ok }) => !ok).length;
  say(`${outcomes.length - failed} passed, ${failed} failed in the leak table`);
  return failed === 0;
}

async function runMutation(mutation: Mutation): Promise<MutationOutcome> {
  const { mechanism, row } = mutation;
  useMutant(preparedMutant(mutation));
  try {
    for (const chapter of CHAPTERS) {
      const rows = chapter.rows.filter(({ id }) => id === row);
      if (rows.length > 0) {
        const [outcome] = await runRows(chapter, rows);
        if (outcome !== undefined) {
          return {
            mechanism,
            row,
            caught: isCaught(mutation, outcome),
            said: formatOutcome(outcome).slice(5),
          };
        }
      }
    }
    throw new Error(`mutation ${mutation.name}: there is no row ${row}`);
  } catch (error) {
    return { mechanism, row, caught: false, said: `not even set up: ${(error as Error).message}` };
  } finally {
    useMutant(undefined);
  }
}

async function runMutations(which: string): Promise<boolean> {
  process.on('unhandledRejection', (error) => say(`a row that has failed left behind: ${error}`));
  const mutations: MutationOutcome[] = [];
  for (const mutation of mutationsNamed(which)) {
    const outcome = await runMutation(mutation);
    mutations.push(outcome);
    keep({ mutations });
    say(
      `${outcome.caught ? 'caught' : 'MISSED'} ${mutation.name}: without "${mutation.mechanism}" row ${mutation.row} ${outcome.caught ? 'fails' : 'does not fail of it'}: ${outcome.said}`,
    );
  }
  const missed = mutations.filter(({ caught }) => !caught).length;
  say(`${mutations.length - missed} mutations caught, ${missed} missed`);
  return missed === 0;
}

const good = mutate === undefined ? await runTable() : await runMutations(mutate);
process.exit(good ? 0 : 1);
