import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './root.ts';

/**
 * The compiled text of source files, as `tsc -b` puts it into build/: `build/src/version.js` to its text. Compiles these
 * files alone and without looking at types (some 0.2 s), so that no build is needed. @throws Error with what tsc says
 */
export function compiled(files: readonly string[]): ReadonlyMap<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'trapline-compiled-'));
  try {
    const compilerOptions = {
      ...{ rootDir: ROOT, outDir: folder, types: [], noCheck: true, noResolve: true },
      ...{ composite: false, sourceMap: false },
    };
    const sources = files.map((file) =>
      file.replace(/^build\/(.*)\.js$/, (_, path) => join(ROOT, `${path}.ts`)),
    );
    const config = join(folder, 'tsconfig.json');
    const text = { extends: join(ROOT, 'tsconfig.base.json'), compilerOptions, files: sources };
    writeFileSync(config, JSON.stringify(text));
    const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', config], {
      encoding: 'utf8',
    });
    if (status !== 0) {
      throw new Error(stdout);
    }
    return new Map(
      files.map((file) => [file, readFileSync(join(folder, file.slice('build/'.length)), 'utf8')]),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
