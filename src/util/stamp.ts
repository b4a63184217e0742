import { statSync } from 'node:fs';

/**
 * A text that is another one once the file has been replaced or written to; empty if there is no such file.
 * Throws what the file system throws otherwise.
 */
export function stampOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}
