import { existsSync, linkSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { lockPath } from '../paths.ts';
import { type Ages, bootTimeOf, createAges, holderOf, pidNamespace, startTime, token } from './holder.ts';

export interface LockOptions {
  /** Milliseconds to wait for the lock. */
  readonly timeoutMs: number;
  readonly sleep: (ms: number) => Promise<void>;
  /**
   * Milliseconds of a clock that nobody can set and that all processes of the machine share
   * (CLOCK_MONOTONIC).
   */
  readonly uptime: () => number;
  /** Ends the wait for the lock. An action that already runs under the lock is not disturbed. */
  readonly signal?: AbortSignal;
}

/** The lock was not free in time. Trying again later can help. */
export class LockError extends Error {
  override readonly name = 'LockError';
}

/**
 * A holder in another pid namespace is believed dead after this time without a refresh: we cannot see whether
 * it lives.
 */
const FOREIGN_STALE_MS = 60_000;
/** How often a holder touches the lock file, to show that it lives. */
const REFRESH_MS = 15_000;
/** The longest pause between two tries. */
const PAUSE_MS = 20;
/**
 * A waiter asks only every so many tries whether the holder still lives: thirty waiters that asked each time
 * would keep a core busy.
 */
const TURNS_PER_LOOK = 5;
/** A guard of this age was left by a crash: taking over a lock lasts microseconds. */
const GUARD_STALE_MS = 10_000;

/**
 * Runs `action` while holding the node's one lock file, which plugin and agent share (docs/design.md, The
 * lock). The file names its holder by pid, start time and pid namespace, so the lock of a process that died
 * is taken over at once. Throws LockError, the reason of `signal`, and what `action` throws.
 */
export async function withLock<T>(
  runDir: string,
  options: LockOptions,
  action: () => Promise<T>,
): Promise<T> {
  const { uptime } = options;
  const path = lockPath(runDir);
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const ageOf = createAges(uptime);
  const deadline = uptime() + options.timeoutMs;
  let taken = tryCreate(path, uptime);
  for (let turn = 0; taken === undefined; taken = tryCreate(path, uptime)) {
    options.signal?.throwIfAborted();
    if (turn % TURNS_PER_LOOK === 0 && isAbandoned(path, ageOf)) {
      takeOver(path, uptime, ageOf);
    } else if (uptime() >= deadline) {
      throw new LockError(
        `${path}: still held by ${holderOf(path) ?? 'somebody'} after ${options.timeoutMs} ms`,
      );
    } else {
      await options.sleep(Math.min(2 ** turn, PAUSE_MS));
      turn += 1;
    }
  }
  const own = taken;
  const refresh = setInterval(() => touch(path, own, uptime()), REFRESH_MS);
  try {
    return await action();
  } finally {
    clearInterval(refresh);
    release(path, own);
  }
}

/**
 * A process in another pid namespace may have believed us dead and taken the lock over: then it is not ours
 * to remove.
 */
function release(path: string, own: string): void {
  if (holderOf(path) === own) {
    rmSync(path, { force: true });
  }
}

/**
 * Renews the time of the lock file: an action that lasts long shows that its process lives. The time is that
 * of the wall clock as it would be had nobody set it since the lock was taken.
 */
function touch(path: string, own: string, uptime: number): void {
  try {
    if (holderOf(path) === own) {
      const at = (bootTimeOf(own) + uptime) / 1_000;
      utimesSync(path, at, at);
    }
  } catch {
    // Somebody takes the lock over at this very moment: release() will find out.
  }
}

/**
 * Creates the lock file with its content in one step, by a link. Returns what it wrote; undefined if
 * the file exists. A file without a holder's name in it could not be told from one whose maker has died.
 */
function tryCreate(path: string, uptime: () => number): string | undefined {
  if (existsSync(path)) {
    return undefined;
  }
  const holder = token(uptime());
  const temporary = `${path}.${holder.replace(/\D+/g, '-')}`;
  try {
    writeFileSync(temporary, holder, { mode: 0o600 });
    linkSync(temporary, path);
    return holder;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return undefined;
    }
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * Removes an abandoned lock. Only one process at a time, the one with the guard file, looks and removes, so
 * nobody removes the lock of a new holder.
 */
function takeOver(path: string, uptime: () => number, ageOf: Ages): void {
  const guard = `${path}.takeover`;
  if (tryCreate(guard, uptime) !== undefined) {
    try {
      if (isAbandoned(path, ageOf)) {
        rmSync(path, { force: true });
      }
    } finally {
      rmSync(guard, { force: true });
    }
  } else if (ageOf(guard) > GUARD_STALE_MS) {
    rmSync(guard, { force: true });
  }
}

function isAbandoned(path: string, ageOf: Ages): boolean {
  const holder = holderOf(path);
  if (holder === undefined) {
    return false;
  }
  const [pid, start, namespace] = holder.split(' ');
  if (start === undefined || namespace === undefined || namespace !== pidNamespace()) {
    return ageOf(path) > FOREIGN_STALE_MS;
  }
  return startTime(pid ?? '') !== start;
}
