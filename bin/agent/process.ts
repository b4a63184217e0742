import { existsSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { type Logger, pino } from 'pino';

/** Log lines are JSON on stderr. */
export function loggerOf(level: string, base: object): Logger {
  return pino({ level, base }, pino.destination({ dest: 2, sync: true }));
}

/**
 * A signal that aborts on SIGTERM and SIGINT. The listeners stay: execa's clean-up, which listens while a
 * child of ours runs, ends the whole process by the signal if nobody else listens to it any more.
 */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => stop.abort());
  }
  return stop.signal;
}

/** Absolute path of a system program: where it is, or where it would be if it is missing. */
export function find(name: string): string {
  const folders = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  return folders.map((folder) => `${folder}/${name}`).find((path) => existsSync(path)) ?? `/usr/sbin/${name}`;
}

/**
 * Makes the parser of an option that is a whole number from 1 to `most`. The parser throws
 * InvalidArgumentError.
 */
export function parseUpTo(most: number, unit: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1 || value > most) {
      throw new InvalidArgumentError(`1 to ${most} whole ${unit}.`);
    }
    return value;
  };
}

/** The parser of an option that is a time in seconds. */
export const parseSeconds = parseUpTo(86_400, 'seconds');
