import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { assertRunnable, ENVIRONMENT, type Failure, toRunError } from './contract.ts';
import { type Command, DEFAULT_TIMEOUT_MS, type Run, type RunResult } from './types.ts';

/** coreutils: without it a program that prints into a pipe keeps what it prints until it ends. */
const STDBUF = '/usr/bin/stdbuf';

interface Lasting {
  readonly running: boolean;
  /** As `Run`; the result of a process that goes on has exit status 0. One at a time. */
  ask(command: Command, lines: number): Promise<RunResult>;
}

/**
 * How long a new process has to answer its first line. Where SELinux starts the program in a domain of its own, the loader heeds no preloaded
 * library, and nothing would be printed before the end.
 */
const PROBE_MS = 5_000;
/** How many lines a process answers at the most: `ip` keeps 4 KB of each until it ends. */
const MOST_LINES = 500;

interface Ending extends Failure {
  /** Null if a signal ended it, or it never began. */
  readonly exitCode: number | null;
}

/**
 * `Run` for a process that lives long: commands that say how many `lines` they answer are given to one process of their program that stays,
 * one after the other, which saves a fork and an exec of each; a process that ends, or has answered enough, is replaced for the next command.
 * All others are as `run` does them, and so are all where there is no `stdbuf`, or where a new process does not answer `probe`, a line that
 * changes nothing and prints one.
 *
 * @throws RunError as the contract of `Run` says
 */
export function createLastingRun(run: Run, probe: string, stdbuf = STDBUF): Run {
  const standing = new Map<string, Lasting>();
  let last: Promise<unknown> = Promise.resolve();
  let usable = existsSync(stdbuf);

  /** A process that has answered; undefined if there is none to be had. */
  const processFor = async (command: Command): Promise<Lasting | undefined> => {
    const key = JSON.stringify([command.file, command.args]);
    const before = standing.get(key);
    if (before?.running === true) {
      return before;
    }
    const process = start(stdbuf, command);
    const probing = { ...command, input: `${probe}\n`, timeoutMs: PROBE_MS };
    await process.ask(probing, 1).catch(() => undefined);
    standing.set(key, process);
    usable = process.running;
    return usable ? process : undefined;
  };

  const ask = async (command: Command, lines: number): Promise<RunResult> => {
    const process = usable ? await processFor(command) : undefined;
    return await (process?.ask(command, lines) ?? run(command));
  };

  return async (command) => {
    const { lines } = command;
    if (lines === undefined) {
      return await run(command);
    }
    assertRunnable(command);
    const turn = last.then(() => ask(command, lines));
    last = turn.catch(() => undefined);
    return await turn;
  };
}

function start(stdbuf: string, { file, args }: Command): Lasting {
  // Not by execa: its processes hold the event loop for as long as they are there.
  const child = spawn(stdbuf, ['-oL', file, ...args], { stdio: 'pipe', env: ENVIRONMENT });
  let running = true;
  let answeredLines = 0;
  let [stdout, stderr] = ['', ''];
  let printed: () => void = () => undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    printed();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A process that has ended reads no more: `ended` says so.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<Ending>((resolve) => {
    const gone = (): void => {
      running = false;
    };
    child.on('error', gone).on('exit', gone);
    child.on('error', (cause: NodeJS.ErrnoException) => resolve({ exitCode: null, code: cause.code, cause }));
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal }));
  });
  child.unref();
  for (const pipe of [child.stdin, child.stdout, child.stderr] as readonly { unref?: () => void }[]) {
    pipe.unref?.();
  }
  return {
    get running() {
      return running;
    },
    async ask(command, lines) {
      const timeoutMs = command.timeoutMs ?? DEFAULT_TIMEOUT_MS;
      const answered = new Promise<'answered'>((resolve) => {
        printed = () => (countLines(stdout) >= lines ? resolve('answered') : undefined);
      });
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), timeoutMs);
      });
      child.stdin.write(command.input ?? '');
      const outcome = await Promise.race([answered, ended, late]);
      clearTimeout(timer);
      if (outcome === 'late') {
        running = false;
        child.stdin.destroy();
        child.kill('SIGKILL');
        throw toRunError(command, { timedOut: true });
      }
      const result = { stdout, stderr };
      [stdout, stderr] = ['', ''];
      if (outcome === 'answered') {
        answeredLines += lines;
        if (answeredLines >= MOST_LINES) {
          running = false;
          child.stdin.end();
        }
        return { exitCode: 0, ...result };
      }
      const { exitCode, ...failure } = outcome;
      if (exitCode === null) {
        throw toRunError(command, failure);
      }
      return { exitCode, ...result };
    },
  };
}

function countLines(text: string): number {
  return text.split('\n').length - 1;
}
