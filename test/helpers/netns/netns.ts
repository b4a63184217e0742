import { existsSync } from 'node:fs';
import { getuid, pid } from 'node:process';
import { threadId } from 'node:worker_threads';
import { run } from '../../../src/exec/execa.ts';
import type { Command, Run, RunResult } from '../../../src/exec/types.ts';

/** Absolute path of iproute2's `ip`; both places exist on a merged-usr system. */
export const IP = ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip', '/bin/ip'].find(existsSync) ?? '/usr/sbin/ip';
const NSENTER = '/usr/bin/nsenter';
const ENV = '/usr/bin/env';

/** A throwaway network namespace. */
export interface Namespace {
  readonly name: string;
  /** `/run/netns/<name>`, as CNI_NETNS wants it. */
  readonly path: string;
  /** `Run` inside the namespace (network alone; files and processes are the caller's). */
  readonly run: Run;
  /** `ip <args>` inside the namespace. @throws Error with ip's message if it fails */
  readonly ip: (...args: string[]) => Promise<string>;
  readonly remove: () => Promise<void>;
}

let created = 0;

/** Creates a namespace with loopback up. @throws Error with ip's message if it cannot */
export async function createNamespace(label = 'ns'): Promise<Namespace> {
  created += 1;
  const name = `tl-${label}-${pid}-${threadId}-${created}`;
  const path = `/run/netns/${name}`;
  await must({ file: IP, args: ['netns', 'add', name] });
  const inside = inNamespace(path, run);
  const ip = async (...args: string[]) => (await must({ file: IP, args }, inside)).stdout;
  const remove = async () => void (await must({ file: IP, args: ['netns', 'del', name] }));
  try {
    await ip('link', 'set', 'lo', 'up');
  } catch (error) {
    await remove();
    throw error;
  }
  return { name, path, run: inside, ip, remove };
}

/** A `Run` that executes every command inside the network namespace at `path`. */
export function inNamespace(path: string, outer: Run): Run {
  return (command) =>
    outer({ ...command, file: NSENTER, args: [`--net=${path}`, '--', command.file, ...command.args] });
}

/** The same command with environment variables, which `Run` does not carry (CNI_COMMAND and the like). */
export function withEnv(command: Command, env: Readonly<Record<string, string>>): Command {
  const pairs = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  return { ...command, file: ENV, args: [...pairs, command.file, ...command.args] };
}

/** Runs a command that has to succeed. @throws Error with its stderr otherwise */
export async function must(command: Command, how: Run = run): Promise<RunResult> {
  const result = await how(command);
  if (result.exitCode !== 0) {
    throw new Error(`${command.file} ${command.args.join(' ')}: ${result.stderr.trim() || result.exitCode}`);
  }
  return result;
}

/** Why the netns tier cannot run here; undefined if it can. */
export async function netnsUnavailable(): Promise<string | undefined> {
  if (getuid?.() !== 0) {
    return 'needs root';
  }
  const missing = [IP, NSENTER, ENV].find((file) => !existsSync(file));
  if (missing !== undefined) {
    return `${missing} is missing (Debian packages iproute2, util-linux, coreutils)`;
  }
  try {
    const namespace = await createNamespace('probe');
    try {
      await namespace.ip('xfrm', 'policy');
    } finally {
      await namespace.remove();
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
