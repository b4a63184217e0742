import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../helpers/unit/root.ts';
import { runInGuest } from './boot.ts';
import { hasEsp } from './esp.ts';

export interface ScenarioJob {
  /** Compiled file below `test/lab`, and its arguments. */
  readonly argv: readonly string[];
  /** Leave the nodes up, with a shell. */
  readonly keep?: boolean;
  /** Where the scenario's results go: the file that it finds in TRAPLINE_RESULTS. */
  readonly results?: string;
  readonly timeoutMs?: number;
}

/**
 * Runs a scenario of three nodes with real ESP: on this kernel if it has ESP, otherwise on Debian's kernel in QEMU. Returns its exit status.
 */
export async function runWithEsp({
  argv,
  keep = false,
  results,
  timeoutMs = 40 * 60_000,
}: ScenarioJob): Promise<number> {
  const [scenario = '', ...args] = argv;
  const command = [process.execPath, join(ROOT, 'build/test/lab', scenario), ...args];
  if (await hasEsp()) {
    const [file = '', ...rest] = command;
    const env = { ...process.env, ...(results === undefined ? {} : { TRAPLINE_RESULTS: results }) };
    return spawnSync(file, rest, { stdio: 'inherit', cwd: ROOT, env }).status ?? 1;
  }
  process.stdout.write(
    'this kernel has no ESP: the nodes run on a Debian kernel in QEMU, some ten times slower\n',
  );
  return await runInGuest({
    argv: command,
    cwd: ROOT,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
      LC_ALL: 'C',
      TRAPLINE_EMULATED: '1',
      ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }),
      TRAPLINE_LAB_LOGS: '/lab/logs',
      ...(results === undefined ? {} : { TRAPLINE_RESULTS: '/lab/results.json' }),
    },
    timeoutMs,
    keep,
    ...(results === undefined ? {} : { results }),
  });
}
