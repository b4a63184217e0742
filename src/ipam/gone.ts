import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Run } from '../exec/types.ts';
import { canonicalAddress, formatAddress } from '../ip/address.ts';
import type { Lease } from './store.ts';

export interface GoneOptions {
  readonly network: string;
  /** Where the runtime's libcni keeps the results of ADD. */
  readonly cniCacheDir: string;
  readonly run: Run;
  readonly now: () => number;
  /** Normally `/proc`. */
  readonly proc: string;
}

const [NSENTER, IP] = ['/usr/bin/nsenter', '/usr/sbin/ip'];
/** A younger lease is never gone: its ADD may have the address, but no interface yet. */
const YOUNG_MS = 60_000;
/** The type that statfs(2) gives for the file system of namespaces. */
const NSFS_MAGIC = 0x6e736673;

/**
 * The leases whose attachment is gone. All three must hold: the runtime's result cache has no result for it,
 * its network namespace is gone, and no network namespace of this node has the address. Whatever cannot be
 * looked at counts as in use.
 */
export async function goneLeases(leases: readonly Lease[], options: GoneOptions): Promise<Lease[]> {
  const { network, cniCacheDir, now } = options;
  const suspects = leases.filter(
    ({ containerId, ifName, since, netns }) =>
      now() - since > YOUNG_MS &&
      !existsSync(join(cniCacheDir, 'results', `${network}-${containerId}-${ifName}`)) &&
      !isNamespace(netns),
  );
  if (suspects.length === 0) {
    return [];
  }
  const present = await addressesInUse(options);
  return present === undefined ? [] : suspects.filter(({ address }) => !present.has(formatAddress(address)));
}

/** Whether there is a namespace at the path: one that was unmounted leaves a plain file, or nothing. */
function isNamespace(path: string): boolean {
  try {
    return path !== '' && statfsSync(path).type === NSFS_MAGIC;
  } catch {
    return false;
  }
}

/**
 * The addresses in all network namespaces that have a process or a mount; undefined if one could not be
 * looked at.
 */
async function addressesInUse({ proc, run }: GoneOptions): Promise<Set<string> | undefined> {
  const present = new Set<string>();
  const seen = new Set<number>();
  // Process 1 has the network namespace of the node itself, and we may not be allowed to look at it.
  for (const pid of readdirSync(proc).filter((name) => /^\d+$/.test(name) && name !== '1')) {
    const inode = inodeOf(join(proc, pid, 'ns/net'));
    if (inode === 'hidden') {
      return undefined;
    }
    if (inode !== undefined && !seen.has(inode)) {
      seen.add(inode);
      addressesOfProcess(join(proc, pid, 'net'), present);
    }
  }
  for (const path of namespaceMounts(proc)) {
    const inode = statSync(path, { throwIfNoEntry: false })?.ino;
    if (inode === undefined || seen.has(inode)) {
      continue;
    }
    seen.add(inode);
    const args = [`--net=${path}`, '--', IP, '-o', 'addr', 'show'];
    const { exitCode, stdout } = await run({ file: NSENTER, args });
    if (exitCode !== 0) {
      return undefined;
    }
    for (const [, address = ''] of stdout.matchAll(/ inet6? ([^/ ]+)/g)) {
      present.add(canonicalAddress(address) ?? address);
    }
  }
  return present;
}

/** The inode of a namespace; undefined if its process has ended, `hidden` if we may not look at it. */
function inodeOf(path: string): number | 'hidden' | undefined {
  try {
    return statSync(path).ino;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ||
      (error as NodeJS.ErrnoException).code === 'ESRCH'
      ? undefined
      : 'hidden';
  }
}

/**
 * Adds the addresses in the namespace of a process: `fib_trie` has the IPv4 ones (`/32 host LOCAL`),
 * `if_inet6` the IPv6 ones. The process may end meanwhile.
 */
function addressesOfProcess(folder: string, present: Set<string>): void {
  try {
    for (const [, address = ''] of readFileSync(join(folder, 'fib_trie'), 'utf8').matchAll(
      /\|-- (\S+)\n\s+\/32 host LOCAL/g,
    )) {
      present.add(address);
    }
    for (const [, hex = ''] of readFileSync(join(folder, 'if_inet6'), 'utf8').matchAll(
      /^([0-9a-f]{32}) /gm,
    )) {
      present.add(canonicalAddress(hex.replace(/(.{4})(?=.)/g, '$1:')) ?? '');
    }
  } catch {
    // The process has ended, or the kernel has no IPv6.
  }
}

/** Paths at which namespaces are mounted, network namespaces among them. */
function namespaceMounts(proc: string): string[] {
  return readFileSync(join(proc, 'self/mountinfo'), 'utf8')
    .split('\n')
    .filter((line) => / - nsfs /.test(line))
    .flatMap((line) => line.split(' ')[4] ?? []);
}
