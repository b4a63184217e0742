import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import { run } from '../../src/exec/execa.ts';
import { runStream } from '../../src/exec/stream.ts';
import { runSync } from '../../src/exec/sync.ts';
import { type Command, type Run, RunError, type RunResult } from '../../src/exec/types.ts';

const SH = '/bin/sh';
const collected: Run = async (command) => {
  let stdout = '';
  const result = await runStream(command, (text) => {
    stdout += text;
  });
  return { ...result, stdout };
};
const runners: readonly [string, Run][] = [
  ['execa', run],
  ['sync', runSync],
  ['stream', collected],
];

const results: readonly { title: string; command: Command; expected: Partial<RunResult> }[] = [
  {
    title: 'both streams and the status are the result',
    command: { file: SH, args: ['-c', 'printf "a\\n"; printf "b\\n" >&2; exit 3'] },
    expected: { exitCode: 3, stdout: 'a\n', stderr: 'b\n' },
  },
  {
    title: 'an argument is passed as it is: no shell, no expansion',
    command: { file: '/bin/echo', args: ['$HOME', '*', 'a b', ''] },
    expected: { exitCode: 0, stdout: '$HOME * a b \n' },
  },
  {
    title: 'the environment is English, in UTC, and holds nothing of the caller',
    // Node hands this one to every child while coverage is measured.
    command: { file: '/usr/bin/env', args: ['-u', 'NODE_V8_COVERAGE'] },
    expected: { stdout: 'LC_ALL=C\nTZ=UTC\n' },
  },
  {
    title: 'input reaches the command whole',
    command: { file: '/usr/bin/wc', args: ['-c'], input: 'x'.repeat(1_000_000) },
    expected: { stdout: '1000000\n' },
  },
  {
    title: 'empty input is an end of file',
    command: { file: '/bin/cat', args: [], input: '' },
    expected: { exitCode: 0, stdout: '' },
  },
  {
    title: 'no input is an end of file, not the input of the caller',
    command: { file: '/bin/cat', args: [] },
    expected: { exitCode: 0, stdout: '' },
  },
  {
    title: 'a command that does not read its input has ended all the same',
    command: { file: SH, args: ['-c', 'exit 5'], input: 'x'.repeat(1_000_000) },
    expected: { exitCode: 5 },
  },
  {
    title: 'output of 20 MB comes whole',
    command: { file: SH, args: ['-c', 'head -c 20000000 /dev/zero | tr "\\0" a'] },
    expected: { exitCode: 0, stdout: 'a'.repeat(20_000_000) },
  },
];

const failures: readonly { title: string; command: Command; reason: string; message: RegExp }[] = [
  {
    title: 'a relative path',
    command: { file: 'sh', args: [] },
    reason: 'failed',
    message: /^sh: an absolute path is needed$/,
  },
  {
    title: 'a NUL byte in an argument',
    command: { file: SH, args: ['a\0b'] },
    reason: 'failed',
    message: /NUL byte/,
  },
  {
    title: 'a missing program',
    command: { file: '/nonexistent/program', args: [] },
    reason: 'not-found',
    message: /^\/nonexistent\/program: not found$/,
  },
  {
    title: 'a file that is no program',
    command: { file: '/etc/passwd', args: [] },
    reason: 'failed',
    message: /^\/etc\/passwd: cannot be run \(EACCES\)$/,
  },
  {
    title: 'a command that takes too long',
    command: { file: '/bin/sleep', args: ['60'], timeoutMs: 300 },
    reason: 'timeout',
    message: /^\/bin\/sleep: not done after 300 ms, killed$/,
  },
  {
    title: 'a command that ignores SIGTERM and takes too long',
    command: { file: SH, args: ['-c', 'trap "" TERM; while :; do read x </dev/zero; done'], timeoutMs: 300 },
    reason: 'timeout',
    message: /not done after 300 ms/,
  },
  {
    title: 'a command that is killed',
    command: { file: SH, args: ['-c', 'kill -9 $$'] },
    reason: 'signal',
    message: /^\/bin\/sh: killed by SIGKILL$/,
  },
];

for (const [name, runner] of runners) {
  for (const { title, command, expected } of results.filter(
    ({ command }) => runner !== collected || command.input === undefined,
  )) {
    test(`${name}: ${title}`, async (t) => {
      t.like(await runner(command), expected);
    });
  }
  for (const { title, command, reason, message } of failures) {
    test(`${name}: RunError for ${title}`, async (t) => {
      const error = await t.throwsAsync(runner(command), { instanceOf: RunError, message });
      t.is(error?.reason, reason as RunError['reason']);
    });
  }
}

test('stream: pieces come while the command runs, and no character is cut in two', async (t) => {
  const seen = join(mkdtempSync(join(tmpdir(), 'trapline-run-')), 'seen');
  t.teardown(() => rmSync(dirname(seen), { recursive: true }));
  const script = String.raw`printf 'a\303'; until [ -e "$0" ]; do sleep 0.01; done; printf '\244b'`;
  let text = '';
  await runStream({ file: SH, args: ['-c', script, seen] }, (piece) => {
    text += piece;
    writeFileSync(seen, '');
  });
  t.is(text, 'aäb');
});

test('stream: the next piece comes when the reader is done with the last', async (t) => {
  let busy = false;
  let pieces = 0;
  await runStream({ file: SH, args: ['-c', 'head -c 300000 /dev/zero'] }, async () => {
    t.false(busy);
    busy = true;
    pieces += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
    busy = false;
  });
  t.true(pieces > 1);
});

test('stream: what the reader throws ends the command', async (t) => {
  const started = performance.now();
  const command = { file: SH, args: ['-c', 'echo a; exec sleep 60'] };
  const reading = runStream(command, () => {
    throw new Error('enough');
  });
  await t.throwsAsync(reading, { message: 'enough' });
  t.true(performance.now() - started < 10_000);
});
