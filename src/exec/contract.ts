import { isAbsolute } from 'node:path';
import { type Command, DEFAULT_TIMEOUT_MS, RunError } from './types.ts';

/** What a command sees of the environment: nothing of the caller's; messages in English, times in UTC. */
export const ENVIRONMENT: Readonly<Record<string, string>> = { LC_ALL: 'C', TZ: 'UTC' };

/** A listing of 100,000 policies is about 30 MB. */
export const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** Why a command gave no exit status. `code` is an errno name of the operating system. */
export interface Failure {
  readonly code?: string | undefined;
  readonly timedOut?: boolean;
  readonly signal?: string | null | undefined;
  readonly cause?: unknown;
}

/** @throws RunError `failed` for a relative path, since a lookup in PATH is not ours to make, and for a NUL byte */
export function assertRunnable({ file, args }: Command): void {
  if (!isAbsolute(file)) {
    throw new RunError('failed', `${file}: an absolute path is needed`);
  }
  if ([file, ...args].some((text) => text.includes('\0'))) {
    throw new RunError('failed', `${JSON.stringify(file)}: a NUL byte in the path or an argument`);
  }
}

/** Names the program only: arguments and input may be long, and are the caller's to report. */
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
