import { rmSync } from 'node:fs';
import { unguardedPath } from './paths.ts';
import { writeFileAtomic } from './write.ts';

/**
 * Marks the node as unguarded: nothing may be attached until the mark is gone. `reason` is one line. Throws
 * what the file system throws.
 */
export function markUnguarded(runDir: string, reason: string): void {
  writeFileAtomic(unguardedPath(runDir), `${reason}\n`);
}

/** Takes the mark away; no error if there is none. Throws what the file system throws. */
export function unmarkUnguarded(runDir: string): void {
  rmSync(unguardedPath(runDir), { force: true });
}
