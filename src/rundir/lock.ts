import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { lockPath } from './paths.ts';

export interface LockOptions {
  /** Milliseconds to wait for the lock. */
  readonly timeoutMs: number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly now: () => number;
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
  const path = lockPath(runDir);
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const deadline = options.now() + options.timeoutMs;
  for (let turn = 0; !tryCreate(path); ) {
    options.signal?.throwIfAborted();
    const now = options.now();
    if (turn % TURNS_PER_LOOK === 0 && isAbandoned(path, now)) {
      takeOver(path, now);
    } else if (now >= deadline) {
      throw new LockError(
        `${path}: still held by ${holderOf(path) ?? 'somebody'} after ${options.timeoutMs} ms`,
      );
    } else {
      await options.sleep(Math.min(2 ** turn, PAUSE_MS));
      turn += 1;
    }
  }
  const refresh = setInterval(() => touch(path), REFRESH_MS);
  try {
    return await action();
  } finally {
    clearInterval(refresh);
    release(path);
  }
}

/**
 * A process in another pid namespace may have believed us dead and taken the lock over: then it is not ours
 * to remove.
 */
function release(path: string): void {
  if (holderOf(path) === token()) {
    rmSync(path, { force: true });
  }
}

/** Renews the time of the lock file: an action that lasts long shows that its process lives. */
function touch(path: string): void {
  try {
    if (holderOf(path) === token()) {
      const now = new Date();
      utimesSync(path, now, now);
    }
  } catch {
    // Somebody takes the lock over at this very moment: release() will find out.
  }
}

/**
 * Creates the lock file with its content in one step, by a link; false if it exists. A file without a
 * holder's name in it could not be told from one whose maker has died.
 */
function tryCreate(path: string): boolean {
  if (existsSync(path)) {
    return false;
  }
  const holder = token();
  const own = `${path}.${holder.replace(/\D+/g, '-')}`;
  try {
    writeFileSync(own, holder, { mode: 0o600 });
    linkSync(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return false;
    }
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * Removes an abandoned lock. Only one process at a time, the one with the guard file, looks and removes, so
 * nobody removes the lock of a new holder.
 */
function takeOver(path: string, now: number): void {
  const guard = `${path}.takeover`;
  if (tryCreate(guard)) {
    try {
      if (isAbandoned(path, now)) {
        rmSync(path, { force: true });
      }
    } finally {
      rmSync(guard, { force: true });
    }
  } else if (ageOf(guard, now) > GUARD_STALE_MS) {
    rmSync(guard, { force: true });
  }
}

function isAbandoned(path: string, now: number): boolean {
  const holder = holderOf(path);
  if (holder === undefined) {
    return false;
  }
  const [pid, start, namespace] = holder.split(' ');
  if (start === undefined || namespace === undefined || namespace !== pidNamespace()) {
    return ageOf(path, now) > FOREIGN_STALE_MS;
  }
  return startTime(pid ?? '') !== start;
}

function holderOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function ageOf(path: string, now: number): number {
  try {
    return now - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

/**
 * The start time of a process: field 22 of its `stat` (proc(5)), counted after the command name, which may
 * hold any character. Empty if there is no such process.
 */
function startTime(pid: string): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** How this process names itself in the lock file: `<pid> <start time> <pid namespace>`. */
function token(): string {
  const pid = readlinkSync('/proc/self');
  return `${pid} ${startTime(pid)} ${pidNamespace()}`;
}

function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}
