import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLock } from '../../src/rundir/lock/lock.ts';
import { lockPath } from '../../src/rundir/paths.ts';
import { uptime } from '../../src/util/uptime.ts';

/**
 * A process that contends for the lock of `runDir`: `count <n>` adds n times one to a number in a file; `crash <n>` does the
 * same and each time leaves the lock as a process that died would; `hold` takes the lock, says so on stdout, and never lets go.
 */
const [runDir = '', what, times = '0'] = process.argv.slice(2);
const options = { timeoutMs: 120_000, uptime, sleep: (ms: number) => sleep(ms) };

if (what === 'hold') {
  await withLock(runDir, options, async () => {
    process.stdout.write('held\n');
    await sleep(600_000);
  });
} else {
  const file = `${runDir}/counter`;
  for (let round = 0; round < Number(times); round += 1) {
    await withLock(runDir, options, async () => {
      const value = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
      if (round % 10 === 0) {
        await sleep(0);
      }
      writeFileSync(file, String(value + 1));
      if (what === 'crash') {
        const [pid, , namespace] = readFileSync(lockPath(runDir), 'utf8').split(' ');
        writeFileSync(lockPath(runDir), `${pid} 1 ${namespace}`);
      }
    });
  }
}
