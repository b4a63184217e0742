import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { sleep } from '../util/sleep.ts';
import { stampOf } from '../util/stamp.ts';
import { createWake } from '../util/wake.ts';
import { watchFolder } from '../util/watch-folder.ts';
import { type Installed, type InstallOptions, installConflist, installExecutable } from './install.ts';

/** A change that inotify missed is found after this time. */
const POLL_MS = 10_000;
/** A primary CNI may write its file in several steps: wait for the last of them. */
const WRITING_MS = 100;

/**
 * Keeps executable and conflist in place until the signal aborts: waits for a conflist to appear, and inserts
 * the plugin again when the primary CNI has rewritten it. Never rejects.
 */
export async function keepInstalled(
  options: InstallOptions,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const wake = createWake();
  let watching = false;
  let said = '';
  let before = '';
  while (!signal.aborted) {
    if (!watching && existsSync(options.confDir)) {
      watchFolder(options.confDir, wake.notify, signal);
      watching = true;
    }
    const { text, level } = describe(attempt(options, before));
    before = stampOf(pluginPath(options));
    if (text !== said) {
      log[level](text);
      said = text;
    }
    await wake.wait(POLL_MS, signal);
    await sleep(WRITING_MS);
  }
}

/** Compares the executable's content only if its stamp is not the one of `before`. */
function attempt(options: InstallOptions, before: string): Installed {
  try {
    if (before === '' || stampOf(pluginPath(options)) !== before) {
      installExecutable(options);
    }
    return installConflist(options);
  } catch (error) {
    return { kind: 'waiting', reason: (error as Error).message };
  }
}

const pluginPath = ({ binDir }: InstallOptions): string => join(binDir, 'trapline');

function describe(done: Installed): { text: string; level: 'info' | 'warn' } {
  return done.kind === 'installed'
    ? { text: `chained in ${done.conflist}`, level: 'info' }
    : { text: `not chained yet: ${done.reason}`, level: 'warn' };
}
