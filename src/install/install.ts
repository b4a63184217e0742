/**
 * Puts the plugin on a node and takes it away: executable, conflist of the primary CNI, and the decision
 * whether an end of the agent is its removal from the cluster (`removal.ts`).
 *
 * It may import `kube` (for the removal alone), `ipam/name`, `util`. It touches the two CNI folders and
 * nothing else: what is in force is cleaned up by `src/agent/cleanup.ts`.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { IPAM_NAME } from '../ipam/name.ts';
import { type Edited, insertPlugin, type PluginEntry, removePlugin } from './conflist.ts';

export interface InstallOptions {
  /** The executable to install. */
  readonly executable: string;
  /** Where the runtime looks for plugins: `/opt/cni/bin`. */
  readonly binDir: string;
  /** Where the runtime looks for configuration: `/etc/cni/net.d`. */
  readonly confDir: string;
  readonly entry: PluginEntry;
}

/** `waiting`: nothing can be chained yet, for the given reason. */
export type Installed =
  | { readonly kind: 'installed'; readonly conflist: string; readonly changed: boolean }
  | { readonly kind: 'waiting'; readonly reason: string };

/**
 * Names of our temporary files. They lie beside the file that they replace; neither libcni nor a primary CNI
 * takes such a name for its own.
 */
const TEMPORARY = /^\.trapline-[0-9a-f]{12}$/;

const temporaryName = (): string => `.trapline-${randomBytes(6).toString('hex')}`;

/**
 * Puts the executable in place: a copy under another name, then a rename, so that a runtime finds either the
 * old one or the new one. `trapline-ipam` becomes a link to it. Throws, with nothing done, if there is no
 * executable to install.
 */
export function installExecutable({
  executable,
  binDir,
}: Pick<InstallOptions, 'executable' | 'binDir'>): void {
  if (!existsSync(executable)) {
    throw new Error(`${executable}: there is no such executable to install (--executable)`);
  }
  const target = join(binDir, 'trapline');
  mkdirSync(binDir, { recursive: true, mode: 0o755 });
  const ipam = join(binDir, IPAM_NAME);
  if (lstatSync(ipam, { throwIfNoEntry: false }) === undefined) {
    symlinkSync('trapline', ipam);
  }
  if (existsSync(target) && sameContent(target, executable)) {
    return;
  }
  const temporary = join(binDir, temporaryName());
  try {
    copyFileSync(executable, temporary);
    chmodSync(temporary, 0o755);
    syncFile(temporary);
    renameSync(temporary, target);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * Puts the plugin into the conflist that the runtime uses: the first by name. Takes it out of any later one,
 * such as that of an earlier primary CNI. Throws what the file system throws.
 */
export function installConflist({ confDir, entry }: Pick<InstallOptions, 'confDir' | 'entry'>): Installed {
  const [first, ...others] = configurations(confDir);
  if (first === undefined) {
    return { kind: 'waiting', reason: `${confDir}: no network configuration yet` };
  }
  if (!first.endsWith('.conflist')) {
    return {
      kind: 'waiting',
      reason: `${join(confDir, first)}: a single plugin, not a conflist; nothing can be chained to it`,
    };
  }
  const path = join(confDir, first);
  const edited = insertPlugin(readFileSync(path, 'utf8'), entry);
  if (edited.kind === 'refused') {
    return { kind: 'waiting', reason: `${path}: ${edited.reason}` };
  }
  const changed = apply(path, edited);
  for (const other of others.filter((name) => name.endsWith('.conflist'))) {
    apply(join(confDir, other), removePlugin(readFileSync(join(confDir, other), 'utf8')));
  }
  return { kind: 'installed', conflist: path, changed };
}

/**
 * Removes what `installConflist` and `installExecutable` put in place. The conflists come first, so that no
 * chain names a plugin that is gone. The executable stays if a configuration still uses `trapline-ipam`.
 * Returns the paths that were changed or removed.
 */
export function uninstall({ binDir, confDir }: Pick<InstallOptions, 'binDir' | 'confDir'>): string[] {
  const changed: string[] = [];
  for (const name of configurations(confDir).filter((file) => file.endsWith('.conflist'))) {
    const path = join(confDir, name);
    if (apply(path, removePlugin(readFileSync(path, 'utf8')))) {
      changed.push(path);
    }
  }
  const installed = usesIpam(confDir) ? [] : [IPAM_NAME, 'trapline'];
  for (const path of installed.map((name) => join(binDir, name))) {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
      rmSync(path);
      changed.push(path);
    }
  }
  for (const folder of [binDir, confDir].filter((path) => existsSync(path))) {
    for (const name of readdirSync(folder).filter((file) => TEMPORARY.test(file))) {
      rmSync(join(folder, name), { force: true });
    }
  }
  return changed;
}

function usesIpam(confDir: string): boolean {
  return configurations(confDir).some((name) =>
    readFileSync(join(confDir, name), 'utf8').includes(`"${IPAM_NAME}"`),
  );
}

/** Names of the files that libcni loads, in its order. */
function configurations(confDir: string): string[] {
  return existsSync(confDir)
    ? readdirSync(confDir)
        .filter((name) => /\.(conf|conflist|json)$/.test(name))
        .sort()
    : [];
}

/** Writes an edited file as a whole, with owner and mode as before. False if there is nothing to change. */
function apply(path: string, edited: Edited): boolean {
  if (edited.kind !== 'changed') {
    return false;
  }
  const { mode, uid, gid } = statSync(path);
  const temporary = join(path, '..', temporaryName());
  try {
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      let rest = Buffer.from(edited.text);
      while (rest.length > 0) {
        rest = rest.subarray(writeSync(fd, rest));
      }
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    chmodSync(temporary, mode & 0o7777);
    chownSync(temporary, uid, gid);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  return true;
}

/** Compares two files in pieces: the executable has 130 MB. */
function sameContent(a: string, b: string): boolean {
  if (statSync(a).size !== statSync(b).size) {
    return false;
  }
  const files = [openSync(a, 'r'), openSync(b, 'r')] as const;
  const pieces = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)] as const;
  try {
    for (;;) {
      const [length, other] = [readSync(files[0], pieces[0]), readSync(files[1], pieces[1])];
      if (length !== other || !pieces[0].subarray(0, length).equals(pieces[1].subarray(0, other))) {
        return false;
      }
      if (length === 0) {
        return true;
      }
    }
  } finally {
    files.forEach(closeSync);
  }
}

function syncFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
