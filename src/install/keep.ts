import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createWake } from '../util/wake.ts';
import { watchFolder } from '../util/watch-folder.ts';
import { type Installed, type InstallOptions, installConflist, installExecutable } from './install.ts';

/** What inotify misses is found after this. */
const POLL_MS = 10_000;
/** A primary CNI writes its file in steps at times. */
const SETTLE_MS = 100;

/**
 * Keeps executable and conflist in place until the signal aborts: waits for a conflist to appear, and inserts again when the primary CNI has
 * written it anew. Never rejects.
 */
export async function keepInstalled(
  options: InstallOptions,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const wake = createWake();
  let watching = false;
  let said = '';
  let executable = '';
  while (!signal.aborted) {
    if (!watching && existsSync(options.confDir)) {
      watchFolder(options.confDir, wake.notify, signal);
      watching = true;
    }
    const { text, level } = describe(attempt(options, executable));
    executable = stampOf(options);
    if (text !== said) {
      log[level](text);
      said = text;
    }
    await wake.wait(POLL_MS, signal);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  }
}

/** The executable is looked into only where it is not the file that it was. */
function attempt(options: InstallOptions, known: string): Installed {
  try {
    if (known === '' || stampOf(options) !== known) {
      installExecutable(options);
    }
    return installConflist(options);
  } catch (error) {
    return { kind: 'waiting', reason: (error as Error).message };
  }
}

function stampOf({ binDir }: InstallOptions): string {
  const stat = statSync(join(binDir, 'trapline'), { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
}

function describe(done: Installed): { text: string; level: 'info' | 'warn' } {
  return done.kind === 'installed'
    ? { text: `chained in ${done.conflist}`, level: 'info' }
    : { text: `not chained yet: ${done.reason}`, level: 'warn' };
}
