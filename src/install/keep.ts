import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import { createWake } from '../watcher/wake.ts';
import { watchFolder } from '../watcher/watch-folder.ts';
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
  while (!signal.aborted) {
    if (!watching && existsSync(options.confDir)) {
      watchFolder(options.confDir, wake.notify, signal);
      watching = true;
    }
    const { text, level } = describe(attempt(options));
    if (text !== said) {
      log[level](text);
      said = text;
    }
    await wake.wait(POLL_MS, signal);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  }
}

function attempt(options: InstallOptions): Installed {
  try {
    installExecutable(options);
    return installConflist(options);
  } catch (error) {
    return { kind: 'waiting', reason: (error as Error).message };
  }
}

function describe(done: Installed): { text: string; level: 'info' | 'warn' } {
  return done.kind === 'installed'
    ? { text: `chained in ${done.conflist}`, level: 'info' }
    : { text: `not chained yet: ${done.reason}`, level: 'warn' };
}
