import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Run } from '../exec/types.ts';
import { canonicalAddress, formatAddress } from '../ip/address.ts';
import type { Lease } from './store.ts';

export interface GoneOptions {
  readonly network: string;
  /** Of the runtime's libcni. */
  readonly cniCacheDir: string;
  readonly run: Run;
  readonly now: () => number;
  /** Normally `/proc`. */
  readonly proc: string;
}

const [NSENTER, IP] = ['/usr/bin/nsenter', '/usr/sbin/ip'];
/** An ADD may be between its address and its interface. */
const YOUNG_MS = 60_000;
/** statfs(2): the file system of namespaces. */
const NSFS_MAGIC = 0x6e736673;

/**
 * Leases whose attachment is gone: the runtime's result cache does not know it, its network namespace is gone, and no network namespace of this
 * node has the address. What cannot be looked at counts as in use.
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

/** A bind mount of a namespace that was taken away leaves a plain file, or nothing. */
function isNamespace(path: string): boolean {
  try {
    return path !== '' && statfsSync(path).type === NSFS_MAGIC;
  } catch {
    return false;
  }
}

/** Addresses of all network namespaces, of processes and of mounts; undefined if one could not be looked at. */
async function addressesInUse({ proc, run }: GoneOptions): Promise<Set<string> | undefined> {
  const present = new Set<string>();
  const seen = new Set<number>();
  // The first process is the node's own, and may be out of our reach.
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

/** Undefined if it has ended. */
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

/** `fib_trie` has the IPv4 addresses of a namespace (`/32 host LOCAL`), `if_inet6` the IPv6 ones. A process may end meanwhile. */
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
    // It has ended, or its kernel has no IPv6.
  }
}

function namespaceMounts(proc: string): string[] {
  return readFileSync(join(proc, 'self/mountinfo'), 'utf8')
    .split('\n')
    .filter((line) => / - nsfs /.test(line))
    .flatMap((line) => line.split(' ')[4] ?? []);
}
