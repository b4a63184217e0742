import { watch } from 'node:fs';

/**
 * Calls back when something in a folder changes, until the signal aborts. A watch that cannot be had, or is
 * lost, is no error: every caller also looks at the folder itself, now and then.
 */
export function watchFolder(folder: string, onChange: () => void, signal: AbortSignal): void {
  try {
    const watcher = watch(folder, { signal }, () => onChange());
    watcher.on('error', () => watcher.close());
  } catch {
    // The system has no inotify watch left, or the folder is gone: the caller finds changes by looking.
  }
}
