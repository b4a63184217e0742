import { watch } from 'node:fs';

/** Calls back when something in a folder changes, until the signal aborts. Losing the watch is no error: a slow poll backs it. */
export function watchFolder(folder: string, onChange: () => void, signal: AbortSignal): void {
  try {
    const watcher = watch(folder, { signal }, () => onChange());
    watcher.on('error', () => watcher.close());
  } catch {
    // No inotify watch left, or the folder is gone: the poll finds the changes.
  }
}
