import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { must } from '../../helpers/netns/netns.ts';
import type { GuestKernel } from './kernel.ts';

const BUSYBOX = '/bin/busybox';
/** What it takes to mount the host's root. */
const MODULES = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'overlay'];

/** Builds, in the folder, the initrd that mounts the host's root read-only below a tmpfs and starts `/lab/start` there. Returns its path. */
export async function buildInitrd(kernel: GuestKernel, folder: string): Promise<string> {
  const root = join(folder, 'root');
  for (const folder of ['bin', 'modules', 'proc', 'sys', 'dev', 'host', 'upper', 'new']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  const files = loadOrder(kernel);
  for (const file of files) {
    copyFileSync(join(kernel.modules, kernel.version, file), join(root, 'modules', basename(file)));
  }
  writeFileSync(join(root, 'init'), initScript(files.map((file) => basename(file))));
  chmodSync(join(root, 'init'), 0o755);
  const image = join(folder, 'initrd.gz');
  await must({
    file: '/bin/sh',
    args: ['-ec', 'cd "$1" && find . | cpio -o -H newc --quiet | gzip -1 > "$2"', 'sh', root, image],
  });
  rmSync(root, { recursive: true });
  return image;
}

/** Modules and what they need, in an order that insmod takes. */
function loadOrder({ modules, version }: GuestKernel): string[] {
  const needs = new Map<string, string[]>();
  for (const line of readFileSync(join(modules, version, 'modules.dep'), 'utf8').split('\n')) {
    const [file = '', deps = ''] = line.split(':');
    needs.set(file, deps.trim().split(' ').filter(Boolean).reverse());
  }
  const wanted = [...needs.keys()].filter((file) => MODULES.includes(basename(file).split('.')[0] ?? ''));
  return [...new Set(wanted.flatMap((file) => [...(needs.get(file) ?? []), file]))];
}

function initScript(modules: readonly string[]): string {
  return `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in ${modules.join(' ')}; do $b insmod /modules/$m; done
p9="trans=virtio,version=9p2000.L,msize=512000"
$b mount -t 9p -o $p9,ro,cache=loose hostroot /host
$b mount -t tmpfs -o size=1g tmpfs /upper; $b mkdir /upper/up /upper/work
$b mount -t overlay -o lowerdir=/host,upperdir=/upper/up,workdir=/upper/work overlay /new
$b umount /proc /sys; $b umount /dev; $b mount -t proc proc /new/proc; $b mount -t sysfs sys /new/sys; $b mount -t devtmpfs dev /new/dev
$b mkdir -p /new/dev/pts /new/dev/shm /new/lib/modules /new/lab
$b mount -t devpts devpts /new/dev/pts; $b mount -t tmpfs tmpfs /new/dev/shm
$b mount -t tmpfs tmpfs /new/run
$b mount -t 9p -o $p9,ro,cache=loose modules /new/lib/modules
$b mount -t 9p -o $p9 lab /new/lab
$b ip link set lo up
exec $b switch_root /new /bin/sh /lab/start
`;
}
