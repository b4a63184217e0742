import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Run } from '../../src/exec/types.ts';

/** One process to time: its standard input, and a name for the result; calls without a name are not timed. */
export interface TimedCall {
  readonly name?: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Runs at the same moment, all timed as one. */
  readonly together?: readonly Omit<TimedCall, 'together' | 'name'>[];
}

/** Calls that belong together, in order: ADD, then its DEL. */
export type Strand = readonly TimedCall[];

/** Milliseconds by name, a value per round. */
export type Timings = ReadonlyMap<string, readonly number[]>;

export interface RoundOptions {
  readonly folder: string;
  /** Where the calls run: a namespace of the bench's own. */
  readonly run: Run;
  readonly rounds: number;
  /** Rounds before these, which are not counted. */
  readonly warmUp: number;
}

/**
 * Runs every strand once per round, in shuffled order. The clock is bash's: it starts a process in about a millisecond, where Node takes eight
 * and would draw every ratio towards 1. Throws if a call fails.
 */
export async function runRounds(strands: readonly Strand[], options: RoundOptions): Promise<Timings> {
  const { folder, run, rounds, warmUp } = options;
  const scripts = strands.map((strand, index) => renderStrand(strand, join(folder, `strand-${index}`)));
  const timings = new Map<string, number[]>();
  for (let round = -warmUp; round < rounds; round += 1) {
    const script = join(folder, 'round.sh');
    writeFileSync(
      script,
      `export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin\n${shuffle(scripts).join('\n')}`,
    );
    const { exitCode, stdout, stderr } = await run({ file: '/bin/bash', args: [script], timeoutMs: 120_000 });
    if (exitCode !== 0) {
      throw new Error(
        `a call of the bench failed: ${stdout.slice(stdout.lastIndexOf('\texit ') + 1)} ${stderr}`,
      );
    }
    for (const line of round < 0 ? [] : stdout.split('\n').filter(Boolean)) {
      const [name = '', micros] = line.split('\t');
      timings.set(name, [...(timings.get(name) ?? []), Number(micros) / 1_000]);
    }
  }
  return timings;
}

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

function renderStrand(strand: Strand, prefix: string): string {
  return strand.map((call, index) => renderCall(call, `${prefix}-${index}`)).join('\n');
}

function renderCall(call: TimedCall, prefix: string): string {
  const parts = call.together ?? [call];
  const background = call.together === undefined ? '' : ' &';
  const lines = parts.map((part, index) => `${renderProcess(part, `${prefix}-${index}`)}${background}`);
  const wait =
    call.together === undefined ? 'rc=$?' : `rc=0; for job in $(jobs -p); do wait $job || rc=$?; done`;
  const report =
    call.name === undefined ? '' : `printf '%s\\t%s\\n' ${quote(call.name)} $(( \${end/./} - \${start/./} ))`;
  return [
    'start=$EPOCHREALTIME',
    ...lines,
    wait,
    'end=$EPOCHREALTIME',
    `if [ $rc != 0 ]; then printf '%s\texit %s %s\n' ${quote(call.argv.join(' '))} $rc "$(cat ${quote(prefix)}-*.out)"; exit 1; fi`,
    report,
  ].join('\n');
}

function renderProcess({ argv, env = {}, stdin = '' }: TimedCall, prefix: string): string {
  writeFileSync(`${prefix}.in`, stdin);
  const pairs = Object.entries(env).map(([key, value]) => `${key}=${quote(value)}`);
  return [
    ...pairs,
    ...argv.map(quote),
    `<${quote(`${prefix}.in`)}`,
    `>${quote(`${prefix}.out`)}`,
    '2>&1',
  ].join(' ');
}

/** Fisher and Yates. */
function shuffle<T>(list: readonly T[]): T[] {
  const mixed = [...list];
  for (let last = mixed.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other] as T, mixed[last] as T];
  }
  return mixed;
}

/** Largest resident set of a process in MiB, as GNU time has it from the kernel. */
export async function maxRss(
  call: TimedCall,
  { folder, run }: Pick<RoundOptions, 'folder' | 'run'>,
): Promise<number> {
  const out = join(folder, 'rss');
  const line = renderProcess(
    { ...call, argv: ['/usr/bin/time', '-o', out, '-f', '%M', ...call.argv] },
    join(folder, 'rss-call'),
  );
  const { exitCode, stdout } = await run({ file: '/bin/bash', args: ['-c', line] });
  if (exitCode !== 0) {
    throw new Error(`a call of the bench failed: ${call.argv.join(' ')} ${stdout}`);
  }
  return Number(readFileSync(out, 'utf8').trim().split('\n').at(-1)) / 1_024;
}
