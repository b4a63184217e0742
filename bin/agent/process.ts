import { existsSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { type Logger, pino } from 'pino';

/** Log lines are JSON on stderr. */
export function loggerOf(level: string, base: object): Logger {
  return pino({ level, base }, pino.destination({ dest: 2, sync: true }));
}

/** Aborts on SIGTERM and SIGINT. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => stop.abort());
  }
  return stop.signal;
}

/** Absolute path of a program of the system. */
export function find(name: string): string {
  const folders = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  return folders.map((folder) => `${folder}/${name}`).find((path) => existsSync(path)) ?? `/usr/sbin/${name}`;
}

/** The value of an option that is a time. Throws InvalidArgumentError. */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 86_400) {
    throw new InvalidArgumentError('1 to 86400 whole seconds.');
  }
  return seconds;
}
