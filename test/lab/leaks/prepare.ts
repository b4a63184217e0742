import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from '../../../pkg/bundle.ts';
import { installProgram, makeMutant, PROGRAMS, READY } from './mutant.ts';
import type { Mutation } from './mutations/mutation.ts';

/**
 * Makes the mutants before QEMU starts, each program one file as in the executables: from hundreds of files a program takes three times as long
 * to start, and a row there is late for its own limits.
 */
export async function prepareMutants(mutations: readonly Mutation[]): Promise<void> {
  rmSync(READY, { recursive: true, force: true });
  for (const mutation of mutations) {
    const folder = makeMutant(mutation, READY);
    for (const program of PROGRAMS) {
      const file = `dist/${program}.cjs`;
      await bundle(join(folder, `build/bin/${program}.js`), join(folder, file));
      installProgram(folder, program, file);
    }
  }
}
