import type { Command, Run, RunResult } from '../../exec/types.ts';
import { DEFRAG_TABLE, type NftSet, renderTable, renderTrial, TABLE } from '../../ipsec/hairpin/render.ts';

/** How to run `nft`, an absolute path. */
export interface Nft {
  readonly run: Run;
  readonly nft: string;
}

export class HairpinError extends Error {
  override readonly name = 'HairpinError';
}

/** What nft lists of our tables; a text is empty if there is no such table. */
export interface Tables {
  readonly defrag: string;
  readonly table: string;
}

/** Throws RunError. */
export async function listTables(nft: Nft): Promise<Tables> {
  const [defrag = '', table = ''] = await Promise.all(
    [DEFRAG_TABLE, TABLE].map((name) => listTable(nft, name)),
  );
  return { defrag, table };
}

async function listTable({ run, nft }: Nft, name: string): Promise<string> {
  return (await run({ file: nft, args: ['list', 'table', ...name.split(' ')] })).stdout;
}

/** How often a table is loaded until it stays as it was loaded. */
const MOST_ROUNDS = 3;

/**
 * Loads a table and returns what nft lists of it then. Nobody says whether that is what was loaded, or what
 * somebody else has made of it since: so it has to be `expected`, if that is known, or come out twice. Throws
 * HairpinError, RunError.
 */
export async function settle(
  nft: Nft,
  table: { readonly name: string; readonly load: () => Promise<void>; readonly expected: string },
): Promise<string> {
  let { expected } = table;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    await table.load();
    const listing = await listTable(nft, table.name);
    if (listing !== '' && listing === expected) {
      return listing;
    }
    expected = listing;
  }
  throw new HairpinError(`nftables: somebody changes table ${table.name} while it is laid`);
}

/** Loads a text in one transaction. Throws HairpinError, RunError. */
export async function loadText({ run, nft }: Nft, input: string): Promise<void> {
  await must(run, { file: nft, args: ['-f', '-'], input });
}

/**
 * Loads the table with its sets. Elements that nft refuses are left out, and nothing else: a set that does
 * not load must not take the rest of the table with it. Returns what was left out, as `pods4 10.2.0.0/24`.
 * Throws HairpinError if the table does not load without them either, RunError.
 */
export async function loadTable(nft: Nft, sets: readonly NftSet[]): Promise<string[]> {
  const whole = await nft.run({ file: nft.nft, args: ['-f', '-'], input: renderTable(sets) });
  if (whole.exitCode === 0) {
    return [];
  }
  const left: string[] = [];
  const taken: NftSet[] = [];
  for (const set of sets) {
    const elements = await sift(set.elements, async (some) => await isTaken(nft, { ...set, elements: some }));
    const kept = new Set(elements);
    taken.push({ ...set, elements });
    left.push(...set.elements.filter((one) => !kept.has(one)).map((one) => `${set.name} ${one}`));
  }
  if (left.length === 0) {
    throw failed(nft.nft, whole);
  }
  await loadText(nft, renderTable(taken));
  return left;
}

async function isTaken({ run, nft }: Nft, set: NftSet): Promise<boolean> {
  return (await run({ file: nft, args: ['--check', '-f', '-'], input: renderTrial(set) })).exitCode === 0;
}

/** How often a list is cut in two in search of what is refused. */
const MOST_TRIALS = 200;

/**
 * The elements of a list that are taken. `takes` says it of some of them. Halves of the list are tried until
 * those that are refused stand alone; after MOST_TRIALS what is still in doubt is left out. Throws what
 * `takes` throws.
 */
export async function sift<T>(
  elements: readonly T[],
  takes: (some: readonly T[]) => Promise<boolean>,
): Promise<T[]> {
  let trials = 0;
  const search = async (some: readonly T[]): Promise<T[]> => {
    trials += 1;
    if (some.length === 0 || trials > MOST_TRIALS) {
      return [];
    }
    if (await takes(some)) {
      return [...some];
    }
    const half = Math.ceil(some.length / 2);
    return some.length === 1
      ? []
      : [...(await search(some.slice(0, half))), ...(await search(some.slice(half)))];
  };
  return await search(elements);
}

/** Removes our tables. One that does not exist is no error. Throws HairpinError, RunError. */
export async function removeTables({ run, nft }: Nft): Promise<void> {
  for (const table of [TABLE, DEFRAG_TABLE]) {
    await quietly(run, { file: nft, args: ['delete', 'table', ...table.split(' ')] });
  }
}

/**
 * Runs a command that removes something; that it does not exist is no error. Throws HairpinError, RunError.
 */
export async function quietly(run: Run, command: Command): Promise<void> {
  const result = await run(command);
  const unknown = /No such|Cannot find device|does not exist|not supported|DEV value is invalid/;
  if (result.exitCode !== 0 && !unknown.test(result.stderr)) {
    throw failed(command.file, result);
  }
}

async function must(run: Run, command: Command): Promise<void> {
  const result = await run(command);
  if (result.exitCode !== 0) {
    throw failed(command.file, result);
  }
}

export function failed(file: string, { stderr, exitCode }: Omit<RunResult, 'stdout'>): HairpinError {
  return new HairpinError(`${file}: ${stderr.trim() || `exit status ${exitCode}`}`);
}
