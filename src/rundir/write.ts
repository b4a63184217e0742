import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { textOf } from '../util/text.ts';
import { cachePath } from './paths.ts';
import type { NodeCache } from './schema.ts';

/**
 * Replaces a file as a whole: temporary file in the same folder (made 0700 if it is missing), fsync, rename, mode 0600.
 * A reader sees the old content or the new, never a part. `content`: the text, or what it consists of. Throws what the file system throws;
 * nothing is left behind then.
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

/** The first call, which takes nearly any text whole, makes no copy of it. */
function writeWhole(fd: number, text: string): void {
  const written = writeSync(fd, text);
  if (written < Buffer.byteLength(text)) {
    for (let rest = Buffer.from(text).subarray(written); rest.length > 0; ) {
      rest = rest.subarray(writeSync(fd, rest));
    }
  }
}

/** The cache's parts are not changed once they are written: the next cache may have them too. */
export function writeNodeCache(runDir: string, cache: NodeCache): void {
  const parts = Object.entries(cache).flatMap(([name, part], index) => [
    `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`,
    textOf(part) ?? 'null',
  ]);
  writeFileAtomic(cachePath(runDir), [...parts, '}\n']);
}
