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
  /** Ends the wait for the lock; what runs under the lock is not disturbed. */
  readonly signal?: AbortSignal;
}

/** The lock was not free in time. Trying again later can help. */
export class LockError extends Error {
  override readonly name = 'LockError';
}

/** A holder whose life we cannot see, in another pid namespace, is believed dead after this. */
const FOREIGN_STALE_MS = 60_000;
const REFRESH_MS = 15_000;
const PAUSE_MS = 20;
/** Those who wait ask only now and then whether the holder lives: thirty who ask each time would keep a core busy with it. */
const TURNS_PER_LOOK = 5;
/** A take-over lasts microseconds: a guard of this age was left by a crash. */
const GUARD_STALE_MS = 10_000;

/**
 * Runs `action` while holding the one lock file of the node, which plugin and agent share. The file names its holder by pid, start time
 * and pid namespace, so the lock of a process that died is taken over at once. Throws LockError, and the signal's reason.
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

/** Somebody in another pid namespace may have believed us dead: then the lock is not ours any more. */
function release(path: string): void {
  if (holderOf(path) === token()) {
    rmSync(path, { force: true });
  }
}

/** A holder that lasts shows that it lives. */
function touch(path: string): void {
  try {
    if (holderOf(path) === token()) {
      const now = new Date();
      utimesSync(path, now, now);
    }
  } catch {
    // Taken over this very moment: release() will see.
  }
}

/** The file is there with its content or not at all: one without a name in it could not be told from one whose maker has died. */
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

/** Removes an abandoned lock. The guard lets one process at a time look and remove, so nobody removes the lock of a new holder. */
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

/** proc(5): field 22 of stat, counted after the command name, which may hold anything. Empty if there is no such process. */
function startTime(pid: string): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function token(): string {
  const pid = readlinkSync('/proc/self');
  return `${pid} ${startTime(pid)} ${pidNamespace()}`;
}

function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}
