import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { textOf } from '../util/text.ts';
import { cachePath } from './paths.ts';
import type { NodeCache } from './schema.ts';

/**
 * Replaces a file as a whole: writes a temporary file in the same folder (made with mode 0700 if it is
 * missing), syncs it and renames it; the mode is 0600. A reader sees the old content or the new, never a
 * part. `content` is the text, or the parts that it consists of. Throws what the file system throws, and
 * leaves nothing behind then.
 */
export function writeFileAtomic(path: string, content: string | readonly string[]): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      for (const part of typeof content === 'string' ? [content] : content) {
        writeWhole(fd, part);
      }
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Writes a text, without a copy of it in memory in the usual case that the first call takes all of it. */
function writeWhole(fd: number, text: string): void {
  const written = writeSync(fd, text);
  if (written < Buffer.byteLength(text)) {
    for (let rest = Buffer.from(text).subarray(written); rest.length > 0; ) {
      rest = rest.subarray(writeSync(fd, rest));
    }
  }
}

/**
 * Writes the node cache. Nobody may change a part of it afterwards: the text of each part is kept, and the
 * next cache may consist of the same parts.
 */
export function writeNodeCache(runDir: string, cache: NodeCache): void {
  const parts = Object.entries(cache).flatMap(([name, part], index) => [
    `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`,
    textOf(part) ?? 'null',
  ]);
  writeFileAtomic(cachePath(runDir), [...parts, '}\n']);
}
