import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../src/exec/execa.ts';
import { createLastingRun } from '../../src/exec/lasting.ts';
import { type Command, type Run, RunError } from '../../src/exec/types.ts';
import { ROOT } from '../helpers/unit/root.ts';
import { until } from '../helpers/unit/until.ts';

/** Answers each line with its own pid and the line; some lines do as they say. */
const PROGRAM =
  'while read -r line; do case "$line" in refuse) echo no >&2; exit 2;; die) kill -9 $$;; wait) sleep 60;; *) echo "$$ $line";; esac; done';
const asks = (...lines: string[]): Command => ({
  file: '/bin/sh',
  args: ['-c', PROGRAM],
  input: lines.map((line) => `${line}\n`).join(''),
  lines: lines.length,
});

async function pidOf(lasting: Run): Promise<string> {
  const { stdout } = await lasting(asks('a'));
  return stdout.split(' ')[0] ?? '';
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('command after command is given to one process', async (t) => {
  const lasting = createLastingRun(run, 'probe');
  const pid = await pidOf(lasting);
  t.deepEqual(await lasting(asks('b', 'c')), { exitCode: 0, stdout: `${pid} b\n${pid} c\n`, stderr: '' });
});

test('what is asked at once is answered in turn', async (t) => {
  const lasting = createLastingRun(run, 'probe');
  const pid = await pidOf(lasting);
  const answers = await Promise.all([lasting(asks('a', 'b')), lasting(asks('c')), lasting(asks('d'))]);
  t.deepEqual(
    answers.map(({ stdout }) => stdout),
    [`${pid} a\n${pid} b\n`, `${pid} c\n`, `${pid} d\n`],
  );
});

test('a process that ends says why, and how far it came; the next command has another one', async (t) => {
  const lasting = createLastingRun(run, 'probe');
  const pid = await pidOf(lasting);
  t.deepEqual(await lasting(asks('a', 'refuse', 'b')), { exitCode: 2, stdout: `${pid} a\n`, stderr: 'no\n' });
  t.not(await pidOf(lasting), pid);
});

test('a process that has answered many lines is let go: it may not give back what it takes', async (t) => {
  const lasting = createLastingRun(run, 'probe');
  const pid = await pidOf(lasting);
  const { stdout } = await lasting(asks(...Array<string>(500).fill('a')));
  t.is(stdout, `${pid} a\n`.repeat(500));
  t.not(await pidOf(lasting), pid);
  await until('its end', () => !isAlive(Number(pid)));
});

test('a process that was killed between two commands is replaced', async (t) => {
  const lasting = createLastingRun(run, 'probe');
  const pid = await pidOf(lasting);
  process.kill(Number(pid), 'SIGKILL');
  await until('its end', () => !isAlive(Number(pid)));
  t.not(await pidOf(lasting), pid);
});

const failures: readonly [string, Command, RunError['reason']][] = [
  ['killed while it works', asks('a', 'die', 'b'), 'signal'],
  ['too slow', { ...asks('a', 'wait', 'b'), timeoutMs: 200 }, 'timeout'],
];
for (const [title, command, reason] of failures) {
  test(`a process that is ${title} is an error, and the next command has another one`, async (t) => {
    const lasting = createLastingRun(run, 'probe');
    const pid = await pidOf(lasting);
    const error = await t.throwsAsync(lasting(command), { instanceOf: RunError });
    t.is((error as RunError).reason, reason);
    t.not(await pidOf(lasting), pid);
  });
}

test('a program that is missing is not found', async (t) => {
  const error = await t.throwsAsync(createLastingRun(run, 'probe')({ ...asks('a'), file: '/no/such' }));
  t.is((error as RunError).reason, 'not-found');
});

test('a command that does not say how many lines it answers has a process of its own', async (t) => {
  const lasting = createLastingRun(run, 'probe');
  const pid = await pidOf(lasting);
  const { lines: _, ...whole } = asks('a');
  t.not((await lasting(whole)).stdout, `${pid} a\n`);
});

test('a program that keeps what it prints until it ends has a process for each command', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trapline-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const stdbuf = join(folder, 'stdbuf');
  writeFileSync(stdbuf, '#!/bin/sh\nshift\nexec "$@"\n', { mode: 0o755 });
  const lasting = createLastingRun(run, 'probe', stdbuf);
  const marks = (line: string): Command => ({
    file: '/bin/sed',
    args: ['s/^/> /'],
    input: `${line}\n`,
    lines: 1,
  });
  t.is((await lasting(marks('a'))).stdout, '> a\n');
  const since = Date.now();
  t.is((await lasting(marks('b'))).stdout, '> b\n');
  t.true(Date.now() - since < 3_000, 'nobody tries again');
});

// `env` ends with 125 at an option that it does not know, as `stdbuf` does without its library.
for (const stdbuf of ['/no/stdbuf', '/usr/bin/env']) {
  test(`without a stdbuf that works (${stdbuf}) each command has a process of its own`, async (t) => {
    const lasting = createLastingRun(run, 'probe', stdbuf);
    const pid = await pidOf(lasting);
    t.regex(pid, /^\d+$/);
    t.not(await pidOf(lasting), pid);
  });
}

test('a process that waits for commands keeps nobody alive', (t) => {
  const from = (name: string): string => JSON.stringify(join(ROOT, 'src/exec', name));
  const script = `
    const { run } = await import(${from('execa.ts')});
    const { createLastingRun } = await import(${from('lasting.ts')});
    const { stdout } = await createLastingRun(run, 'probe')({ file: '/bin/cat', args: [], input: 'a\\n', lines: 1 });
    process.stdout.write(stdout);`;
  const args = ['--input-type=module', '--eval', script];
  const { status, stdout } = spawnSync(process.execPath, args, { timeout: 20_000, encoding: 'utf8' });
  t.deepEqual({ status, stdout }, { status: 0, stdout: 'a\n' });
});
