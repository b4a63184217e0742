import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { assertRunnable, ENVIRONMENT, type Failure, toRunError } from './contract.ts';
import { type Command, DEFAULT_TIMEOUT_MS, type Run, type RunResult } from './types.ts';

/**
 * From coreutils. It makes a program write each line at once. Without it, a program that prints into a pipe
 * keeps its output until it ends.
 */
const STDBUF = '/usr/bin/stdbuf';

interface Lasting {
  readonly running: boolean;
  /** As `Run`, one command at a time. If the process goes on, the exit status of the result is 0. */
  ask(command: Command, lines: number): Promise<RunResult>;
}

/**
 * How long a new process has to answer its first line. Where SELinux starts the program in a domain of its
 * own, the loader ignores preloaded libraries, and with them stdbuf: nothing would be printed before the end.
 */
const PROBE_MS = 5_000;
/** How many lines one process may answer: `ip` keeps 4 KB of each line until it ends. */
const MOST_LINES = 500;

interface Ending extends Failure {
  /** Null if a signal ended the process, or it never began. */
  readonly exitCode: number | null;
}

/**
 * `Run` for a process that lives long. Commands that say how many `lines` they answer go, one after the
 * other, to one process of their program that stays: this saves a fork and an exec each time. A process that
 * ends, or has answered enough lines, is replaced for the next command.
 *
 * All other commands go to `run`. So do all commands where there is no `stdbuf`, or where a new process does
 * not answer `probe`, a line that changes nothing and prints one line.
 *
 * Throws RunError as `Run` says.
 */
export function createLastingRun(run: Run, probe: string, stdbuf = STDBUF): Run {
  const standing = new Map<string, Lasting>();
  let last: Promise<unknown> = Promise.resolve();
  let usable = existsSync(stdbuf);

  /** A process that has answered the probe; undefined if there is none to be had. */
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
  // Not by execa: its processes keep the event loop alive for as long as they run.
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
  // Writing to a process that has ended is an error here; `ended` reports the end.
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
