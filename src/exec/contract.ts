import { isAbsolute } from 'node:path';
import { type Command, DEFAULT_TIMEOUT_MS, RunError } from './types.ts';

/**
 * The environment of every command. Nothing of the caller's environment is passed on. Messages are in
 * English, times in UTC.
 */
export const ENVIRONMENT: Readonly<Record<string, string>> = { LC_ALL: 'C', TZ: 'UTC' };

/** A listing of 100,000 policies is about 30 MB. */
export const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** Why a command gave no exit status. `code` is an errno name (`ENOENT`). */
export interface Failure {
  readonly code?: string | undefined;
  readonly timedOut?: boolean;
  readonly signal?: string | null | undefined;
  readonly cause?: unknown;
}

/**
 * Throws RunError `failed` for a path that is not absolute, since we never search PATH, and for a NUL byte.
 */
export function assertRunnable({ file, args }: Command): void {
  if (!isAbsolute(file)) {
    throw new RunError('failed', `${file}: an absolute path is needed`);
  }
  if ([file, ...args].some((text) => text.includes('\0'))) {
    throw new RunError('failed', `${JSON.stringify(file)}: a NUL byte in the path or an argument`);
  }
}

/**
 * The message names the program alone. Arguments and input may be long: the caller reports them if it has to.
 */
export function toRunError(command: Command, failure: Failure): RunError {
  const { file } = command;
  const options = { cause: failure.cause };
  if (failure.timedOut === true || failure.code === 'ETIMEDOUT') {
    const limit = command.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    return new RunError('timeout', `${file}: not done after ${limit} ms, killed`, options);
  }
  if (failure.code === 'ENOENT') {
    return new RunError('not-found', `${file}: not found`, options);
  }
  if (failure.code !== undefined) {
    return new RunError('failed', `${file}: cannot be run (${failure.code})`, options);
  }
  if (typeof failure.signal === 'string') {
    return new RunError('signal', `${file}: killed by ${failure.signal}`, options);
  }
  return new RunError('failed', `${file}: cannot be run`, options);
}
