import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../helpers/unit/root.ts';
import { CONF, type Mutation } from './mutations/mutation.ts';

export const PROGRAMS = ['trapline', 'trapline-agent', 'traplinectl'];
/** Below the repository: QEMU's guest has the host's files, but not its /tmp. */
export const READY = join(ROOT, 'pkg/dist/.mutants');

/** Makes a copy of the programs without the mechanism. Resolves to the folder; for the environment, see `useMutant`. */
export function makeMutant({ name, edits }: Pick<Mutation, 'name' | 'edits'>, base: string): string {
  const folder = join(base, `mutant-${name}`);
  mkdirSync(folder, { recursive: true });
  for (const part of ['build/bin', 'build/src']) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  }
  cpSync(join(ROOT, 'conf'), join(folder, 'conf'), { recursive: true, dereference: true });
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const { file, from, to } of edits) {
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    if (!text.includes(from)) {
      throw new Error(`mutation ${name}: ${file} has no ${JSON.stringify(from)}`);
    }
    writeFileSync(path, text.replaceAll(from, to));
  }
  mkdirSync(join(folder, 'dist'));
  for (const program of PROGRAMS) {
    installProgram(folder, program, `build/bin/${program}.js`);
  }
  return folder;
}

export function installProgram(folder: string, program: string, file: string): void {
  const path = join(folder, 'dist', program);
  writeFileSync(path, `#!/bin/sh\nexec ${process.execPath} ${join(folder, file)} "$@"\n`);
  chmodSync(path, 0o755);
}

/** As `prepareMutants` has left it. */
export function preparedMutant({ name }: Mutation): string {
  return join(READY, `mutant-${name}`);
}

/** The lab takes its programs and charon's settings from here; undefined: the real ones. */
export function useMutant(folder: string | undefined): void {
  if (folder === undefined) {
    delete process.env.TRAPLINE_DIST;
    delete process.env.TRAPLINE_STRONGSWAN_CONF;
  } else {
    process.env.TRAPLINE_DIST = join(folder, 'dist');
    process.env.TRAPLINE_STRONGSWAN_CONF = join(folder, CONF);
  }
}
