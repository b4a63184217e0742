import { join } from 'node:path';
import { ROOT } from '../helpers/root.ts';
import { runInGuest } from './vm/boot.ts';
import { hasEsp } from './vm/esp.ts';

/**
 * Runs a scenario of three nodes with real ESP: on this kernel if it has ESP, otherwise on Debian's kernel in QEMU.
 * `node run.js <scenario.js> [--keep] [arguments]`
 */
const [scenario, ...rest] = process.argv.slice(2);
if (scenario === undefined) {
  throw new Error('usage: run.js <scenario.js> [--keep] [arguments]');
}
const keep = rest.includes('--keep');
const argv = [process.execPath, join(ROOT, 'build/test/cluster', scenario), ...rest];

if (await hasEsp()) {
  process.argv.splice(1, 2, join(ROOT, 'build/test/cluster', scenario));
  await import(join(ROOT, 'build/test/cluster', scenario));
} else {
  process.stdout.write(
    'this kernel has no ESP: the nodes run on a Debian kernel in QEMU, some ten times slower\n',
  );
  process.exitCode = await runInGuest({
    argv,
    cwd: ROOT,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
      LC_ALL: 'C',
      TRAPLINE_EMULATED: '1',
      ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }),
      TRAPLINE_LAB_LOGS: '/lab/logs',
    },
    timeoutMs: 15 * 60_000,
    keep,
  });
}
