import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { ROOT } from '../helpers/unit/root.ts';

/** Imports by file; paths from the repository's root. Types count: what a file has to know is a dependency, compiled or not. */
export type Imports = ReadonlyMap<string, readonly string[]>;

const IMPORT = /\bfrom '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm;

/** The TypeScript sources below these folders. */
export function sourcesBelow(...folders: readonly string[]): string[] {
  return folders
    .flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }))
    .filter(
      (entry) =>
        entry.isFile() && entry.name.endsWith('.ts') && !/\/(dist|node_modules)\b/.test(entry.parentPath),
    )
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();
}

/** What the files import: files of ours by their path, everything else (`node:fs`, `zod`) by its name. */
export function importsOf(files: readonly string[]): Imports {
  return new Map(
    files.map((file) => {
      const text = readFileSync(join(ROOT, file), 'utf8');
      const names = [...text.matchAll(IMPORT)].map(
        ([, ...found]) => found.find((name) => name !== undefined) ?? '',
      );
      return [
        file,
        names.map((name) => (name.startsWith('.') ? normalize(join(dirname(file), name)) : name)),
      ];
    }),
  );
}

/** Groups of files that import each other in a circle, each sorted (Tarjan's strongly connected components). */
export function circlesIn(imports: Imports): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string): void => {
    index.set(file, index.size);
    low.set(file, index.get(file) ?? 0);
    stack.push(file);
    for (const next of (imports.get(file) ?? []).filter((each) => imports.has(each))) {
      if (!index.has(next)) {
        visit(next);
        low.set(file, Math.min(low.get(file) ?? 0, low.get(next) ?? 0));
      } else if (stack.includes(next)) {
        low.set(file, Math.min(low.get(file) ?? 0, index.get(next) ?? 0));
      }
    }
    if (low.get(file) === index.get(file)) {
      const circle = stack.splice(stack.indexOf(file));
      if (circle.length > 1 || imports.get(file)?.includes(file)) {
        circles.push(circle.sort());
      }
    }
  };
  for (const file of imports.keys()) {
    if (!index.has(file)) {
      visit(file);
    }
  }
  return circles;
}
