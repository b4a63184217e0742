import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { must } from '../../helpers/netns/netns.ts';

/** A Debian kernel, unpacked: what QEMU boots, and its modules. */
export interface GuestKernel {
  readonly image: string;
  /** Folder that holds `<version>/`, as /lib/modules does. */
  readonly modules: string;
  readonly version: string;
}

const MINUTES = 60_000;

/** Downloads and unpacks Debian's current kernel once, into the user's cache folder. */
export async function guestKernel(): Promise<GuestKernel> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const base = join(cache, 'trapline');
  mkdirSync(base, { recursive: true });
  const name = await packageName();
  const folder = join(base, name);
  if (!existsSync(folder)) {
    await unpack(name, folder);
  }
  const modules = join(folder, 'lib/modules');
  const version = readdirSync(modules)[0];
  if (version === undefined) {
    throw new Error(`${modules}: empty; remove ${folder} and try again`);
  }
  return { image: join(folder, `boot/vmlinuz-${version}`), modules, version };
}

async function packageName(): Promise<string> {
  const { stdout } = await must({ file: '/usr/bin/apt-cache', args: ['depends', 'linux-image-amd64'] });
  const name = /Depends: (linux-image-\d\S*)/.exec(stdout)?.[1];
  if (name === undefined) {
    throw new Error('apt-cache: linux-image-amd64 names no kernel; run apt-get update');
  }
  return name;
}

async function unpack(name: string, folder: string): Promise<void> {
  const work = `${folder}.${process.pid}.tmp`;
  mkdirSync(work, { recursive: true });
  try {
    const sh = (script: string): Promise<unknown> =>
      must({ file: '/bin/sh', args: ['-ec', script, 'sh', work, name], timeoutMs: 8 * MINUTES });
    await sh('cd "$1" && apt-get download "$2" && dpkg-deb -x ./*.deb . && rm ./*.deb');
    const version = readdirSync(join(work, 'lib/modules'))[0] ?? '';
    await must({ file: '/sbin/depmod', args: ['-b', work, version], timeoutMs: 2 * MINUTES });
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
