import type { AssertionError } from 'node:assert';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../helpers/unit/root.ts';

/** A change of the sources that takes one guard out. */
export interface Mutation {
  /** `src/cluster/nodes.ts` */
  readonly file: string;
  /** Text that is in the file exactly once. */
  readonly from: string;
  readonly to: string;
}

/** Something that somebody sends, and what must come of it. */
export interface HostileRow {
  /** `1a`: the number is that of the chapter. */
  readonly id: string;
  readonly title: string;
  /** Who can send it: a namespace user, a kubelet, an agent, a local user, a broken object. */
  readonly who: string;
  /** What came of it in version 0.1.0. */
  readonly did: string;
  /** What happens now. */
  readonly now: string;
  /** Sends it to the sources that `load` imports, and throws what is not as it should be. */
  readonly check: (load: Load) => void | Promise<void>;
  /** Without this guard the check fails; where several guard the same, without all of them. */
  readonly mutation: Mutation | readonly Mutation[];
}

export const mutationsOf = ({ mutation }: Pick<HostileRow, 'mutation'>): readonly Mutation[] =>
  'file' in mutation ? [mutation] : mutation;

/** Imports a module of ours, `src/cluster/nodes.ts`, from the sources that are on trial. */
export type Load = <M>(path: string) => Promise<M>;

/** The sources as they are. */
export const real: Load = (path) => import(join(ROOT, path));

export interface Outcome {
  readonly row: HostileRow;
  /** Empty if the row holds. */
  readonly failure: string;
  /** What the check says without the guard; empty if it holds all the same, which is a failure. */
  readonly mutated: string;
}

/** Runs a row on the sources as they are, and on a copy without its guard. */
export async function tryRow(row: HostileRow): Promise<Outcome> {
  const failure = await said(row, real);
  const folder = mutatedSources(mutationsOf(row));
  try {
    return { row, failure, mutated: await said(row, (path) => import(join(folder, path))) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function said(row: HostileRow, load: Load): Promise<string> {
  try {
    await row.check(load);
    return '';
  } catch (error) {
    return wordsOf(error as Error) || 'failed';
  }
}

const WORDS = 240;

/** In one line; of a comparison whose message is Node's own, both values. Folders have other names each time. */
function wordsOf(error: Error): string {
  const { generatedMessage = false, actual, expected } = error as Partial<AssertionError>;
  const isCompared = generatedMessage && (actual !== undefined || expected !== undefined);
  const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  const text = isCompared
    ? `${shown(actual) || 'nothing'}${expected === '' ? '' : ` instead of ${shown(expected)}`}`
    : error.message.split('\n').find((line) => line.trim() !== '');
  const named = (text ?? '').replaceAll(/\/\S*\/(trapline|hostile)-[^\s/]*/g, '<folder>');
  return named.length > WORDS ? `${named.slice(0, WORDS)}…` : named;
}

/** A copy of src within the repository, so that its packages are found. @throws Error if the text is not there once */
function mutatedSources(mutations: readonly Mutation[]): string {
  const texts = new Map<string, string>();
  for (const { file, from, to } of mutations) {
    const text = texts.get(file) ?? readFileSync(join(ROOT, file), 'utf8');
    if (text.split(from).length !== 2) {
      throw new Error(`${file} has ${text.split(from).length - 1} times: ${from}`);
    }
    texts.set(
      file,
      text.replace(from, () => to),
    );
  }
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, 'build/hostile-'));
  cpSync(join(ROOT, 'src'), join(folder, 'src'), { recursive: true });
  for (const [file, text] of texts) {
    writeFileSync(join(folder, file), text);
  }
  return folder;
}
