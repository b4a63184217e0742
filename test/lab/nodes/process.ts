import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { run } from '../../../src/exec/execa.ts';
import type { RunResult } from '../../../src/exec/types.ts';

/** Words that lead into a namespace; empty: this one. */
export type Entrance = readonly string[];

/** A process that runs until it is told to stop. */
export interface Daemon {
  readonly pid: number;
  running(): boolean;
  /** Sends the signal and waits for the end. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

const TIMEOUT_MS = 120_000;

export async function runIn(entrance: Entrance, argv: readonly string[], input?: string): Promise<RunResult> {
  const [file = '', ...args] = [...entrance, ...argv];
  return await run({ file, args, timeoutMs: TIMEOUT_MS, ...(input === undefined ? {} : { input }) });
}

/** Throws with what the command said. */
export async function mustIn(entrance: Entrance, argv: readonly string[], input?: string): Promise<string> {
  const { exitCode, stdout, stderr } = await runIn(entrance, argv, input);
  if (exitCode !== 0) {
    throw new Error(`${argv.join(' ')}: ${stderr.trim() || stdout.trim() || `exit status ${exitCode}`}`);
  }
  return stdout;
}

/** Starts a process whose output goes to a file. */
export function startIn(entrance: Entrance, argv: readonly string[], log: string): Daemon {
  const [file = '', ...args] = [...entrance, ...argv];
  const fd = openSync(log, 'a');
  const child: ChildProcess = spawn(file, args, { stdio: ['ignore', fd, fd] });
  closeSync(fd);
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  const running = (): boolean =>
    child.exitCode === null && child.signalCode === null && child.pid !== undefined;
  return {
    pid: child.pid ?? 0,
    running,
    async stop(signal) {
      if (running()) {
        child.kill(signal);
      }
      await ended;
    },
  };
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until a condition holds. Throws with `what` after the limit. */
export async function until(what: string, limitMs: number, holds: () => Promise<boolean>): Promise<number> {
  const started = Date.now();
  while (!(await holds())) {
    if (Date.now() - started > limitMs) {
      throw new Error(`${what}: not within ${limitMs / 1000} s`);
    }
    await sleep(100);
  }
  return Date.now() - started;
}
