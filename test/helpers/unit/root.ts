import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The repository's folder, whether a test runs from source or compiled. */
export const ROOT = findRoot(import.meta.dirname);

function findRoot(folder: string): string {
  return existsSync(join(folder, 'biome.json')) ? folder : findRoot(dirname(folder));
}

/** A file beside the tests' sources, whether a test runs from source or compiled. */
export function golden(path: string): string {
  return join(ROOT, 'test', path);
}

/** Arguments of Node for a program that runs from source: `exports` of the workspace's packages lead to source, too. */
export const FROM_SOURCE: readonly string[] = ['--conditions=source'];
