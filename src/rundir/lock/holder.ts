import { readFileSync, readlinkSync, statSync } from 'node:fs';

/** The process that a lock file names. Undefined if there is no such file. */
export function holderOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** For how many milliseconds at least a lock or guard file has not been touched; 0 if it is gone. */
export type Ages = (path: string) => number;

/**
 * Ages by a clock that nobody can set. The name of the holder says when the machine booted by the wall clock
 * at the time when the file was made, and the holder keeps to that: so the file's time and our own `uptime`
 * give the age, whatever the wall clock has been set to since. Where no holder of ours wrote the file, a
 * waiter goes by for how long it has seen the file as it is.
 */
export function createAges(uptime: () => number): Ages {
  const seen = new Map<string, { readonly stamp: string; readonly since: number }>();
  return (path) => {
    const boot = bootTimeOf(holderOf(path) ?? '');
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      return 0;
    }
    const age = boot + uptime() - stat.mtimeMs;
    if (age >= 0) {
      return age;
    }
    const stamp = `${stat.ino} ${stat.mtimeMs}`;
    const before = seen.get(path);
    const since = before?.stamp === stamp ? before.since : uptime();
    seen.set(path, { stamp, since });
    return uptime() - since;
  };
}

/** NaN if the name of the holder does not say it. */
export function bootTimeOf(holder: string): number {
  return Number(holder.split(' ')[3] ?? Number.NaN);
}

/**
 * The start time of a process: field 22 of its `stat` (proc(5)), counted after the command name, which may
 * hold any character. Empty if there is no such process.
 */
export function startTime(pid: string): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/**
 * How this process names itself in the lock file: `<pid> <start time> <pid namespace> <boot time>`. The last
 * is in milliseconds since the epoch, as the wall clock has it now.
 */
export function token(uptime: number): string {
  const pid = readlinkSync('/proc/self');
  return `${pid} ${startTime(pid)} ${pidNamespace()} ${Math.floor(Date.now() - uptime)}`;
}

export function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}
