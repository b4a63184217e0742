import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Address, formatAddress, parseAddress } from '../ip/address.ts';

/** Whose an address is. */
export interface Owner {
  readonly containerId: string;
  readonly ifName: string;
}

/** An address that is given out. */
export interface Lease extends Owner {
  readonly address: Address;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Path of the attachment's network namespace; empty if host-local has given the address out. */
  readonly netns: string;
}

/**
 * The folder of one network, as host-local keeps it: a file per address, `<containerID>\r\n<ifname>`, and the last address of each range set
 * in `last_reserved_ip.<set>`. Ours besides, out of host-local's sight: network namespaces and when addresses were given back.
 *
 * An address is taken by one `link`, which fails if it is there, and its file is whole before: a crash at any point leaves an address free, or
 * given out to one. Nothing is synced to the disk: what a power loss takes away belonged to pods that it has ended.
 */
export interface Store {
  /** Every address that is given out, by its text. */
  leases(): Map<string, Lease>;
  /** Addresses that are given out, without a look at whose. */
  taken(): Set<string>;
  /** False if somebody has it. Throws what the file system throws; the address is then free. */
  take(address: Address, owner: Owner & { readonly netns: string }, set: number): boolean;
  /** Gives back; what is free already is no error. */
  free(address: Address): void;
  last(set: number): Address | undefined;
  /** When addresses were given back, by their text; milliseconds since the epoch. */
  freedAt(): Map<string, number>;
}

/** host-local's `last_reserved_ip.` and `lock` are no addresses either. */
const OWN = '.trapline';

/** Makes the folder. The caller holds the lock of `lockFolder`. */
export function openStore(folder: string): Store {
  const own = lockFolder(folder);
  const [namespaces, freed, temporary] = [join(own, 'netns'), join(own, 'freed'), join(own, 'new')];
  for (const path of [namespaces, freed]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  const fileOf = (address: Address): string => join(folder, formatAddress(address));
  const names = (path: string): string[] =>
    readdirSync(path).filter((name) => parseAddress(name) !== undefined);

  return {
    taken: () => new Set(names(folder)),
    leases() {
      const leases = new Map<string, Lease>();
      for (const name of names(folder)) {
        const address = parseAddress(name);
        const path = join(folder, name);
        const found = statSync(path, { throwIfNoEntry: false });
        if (address !== undefined && found !== undefined) {
          const [containerId = '', ifName = ''] = readFileSync(path, 'utf8').trim().split('\r\n');
          const note = join(namespaces, name);
          const netns = existsSync(note) ? readFileSync(note, 'utf8') : '';
          leases.set(name, { containerId, ifName, address, since: found.mtimeMs, netns });
        }
      }
      return leases;
    },
    take(address, { containerId, ifName, netns }, set) {
      const name = formatAddress(address);
      if (existsSync(fileOf(address))) {
        return false;
      }
      const note = join(namespaces, name);
      writeWhole(temporary, `${containerId}\r\n${ifName}`);
      try {
        writeWhole(note, netns);
        linkSync(temporary, fileOf(address));
      } catch (error) {
        // Who took it just now has not waited for our lock: host-local, which keeps no such note.
        rmSync(note, { force: true });
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
          return false;
        }
        throw error;
      } finally {
        rmSync(temporary, { force: true });
      }
      rmSync(join(freed, name), { force: true });
      rememberLast(folder, own, { set, name });
      return true;
    },
    free(address) {
      const name = formatAddress(address);
      if (existsSync(fileOf(address))) {
        noteFreed(join(freed, name));
        rmSync(fileOf(address), { force: true });
      }
      rmSync(join(namespaces, name), { force: true });
    },
    last(set) {
      const path = join(folder, `last_reserved_ip.${set}`);
      return existsSync(path) ? parseAddress(readFileSync(path, 'utf8')) : undefined;
    },
    freedAt: () =>
      new Map(
        names(freed).map((name) => [
          name,
          statSync(join(freed, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
        ]),
      ),
  };
}

/** Without it the address is only used again too soon. */
function noteFreed(path: string): void {
  try {
    writeFileSync(path, '');
  } catch {
    // A full disk.
  }
}

/** Where the lock of the store is. */
export function lockFolder(folder: string): string {
  return join(folder, OWN);
}

/** A disk that is full is noticed here. */
function writeWhole(path: string, text: string): void {
  const fd = openSync(path, 'w', 0o600);
  try {
    const bytes = Buffer.from(text);
    if (writeSync(fd, bytes) !== bytes.length) {
      throw new Error(`${path}: not written as a whole`);
    }
  } finally {
    closeSync(fd);
  }
}

/** Where the next search begins: to lose it costs nothing but order. */
function rememberLast(folder: string, own: string, { set, name }: { set: number; name: string }): void {
  const temporary = join(own, 'last');
  try {
    writeWhole(temporary, name);
    renameSync(temporary, join(folder, `last_reserved_ip.${set}`));
  } catch {
    rmSync(temporary, { force: true });
  }
}
