import { watch } from 'node:fs';

/** Calls back when something in a folder changes, until the signal aborts. Losing the watch is no error: a slow poll backs it. */
export function watchFolder(folder: string, onChange: () => void, signal: AbortSignal): void {
  const watcher = watch(folder, { signal }, onChange);
  watcher.on('error', () => watcher.close());
}
