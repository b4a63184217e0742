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

/** The attachment that has an address. */
export interface Owner {
  readonly containerId: string;
  readonly ifName: string;
}

/** An address that is given out. */
export interface Lease extends Owner {
  readonly address: Address;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Path of the network namespace of the attachment. Empty if host-local gave the address out. */
  readonly netns: string;
}

/**
 * The folder of one network, as host-local keeps it: a file for each address with the content
 * `<containerID>\r\n<ifname>`, and the last address of each range set in `last_reserved_ip.<set>`. Besides,
 * where host-local does not look, we keep the network namespaces and the times at which addresses were given
 * back.
 *
 * An address is taken by one `link`, which fails if the file exists; the content is complete before. So a
 * crash at any point leaves an address either free or given out to one attachment. Nothing is synced to the
 * disk: what a power loss destroys belonged to pods that it ended.
 */
export interface Store {
  /** All leases, by the text of the address. */
  leases(): Map<string, Lease>;
  /** The texts of all addresses that are given out, without reading whose they are. */
  taken(): Set<string>;
  /**
   * Takes an address; false if somebody has it. Throws what the file system throws; the address is then free.
   */
  take(address: Address, owner: Owner & { readonly netns: string }, set: number): boolean;
  /** Gives an address back. It is no error if it is free already. */
  free(address: Address): void;
  /** The address of a set that was given out last, if any. */
  last(set: number): Address | undefined;
  /** When addresses were given back, by their text, in milliseconds since the epoch. */
  freedAt(): Map<string, number>;
}

/** The folder for our own files. It is no address, nor are `last_reserved_ip.*` and `lock` of host-local. */
const OWN = '.trapline';

/** Opens the store and makes its folders. The caller holds the lock of `lockFolder`. */
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
        // Only host-local can have taken the address just now: it does not wait for our lock. It keeps no
        // such note.
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

/** Notes when an address was given back. Without the note, the address is only used again too soon. */
function noteFreed(path: string): void {
  try {
    writeFileSync(path, '');
  } catch {
    // The disk is full.
  }
}

/** The folder of the lock of a store. */
export function lockFolder(folder: string): string {
  return join(folder, OWN);
}

/** Writes a file, and throws if the disk is full. */
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

/** Notes where the next search begins. If this fails, only the order of addresses suffers. */
function rememberLast(folder: string, own: string, { set, name }: { set: number; name: string }): void {
  const temporary = join(own, 'last');
  try {
    writeWhole(temporary, name);
    renameSync(temporary, join(folder, `last_reserved_ip.${set}`));
  } catch {
    rmSync(temporary, { force: true });
  }
}
