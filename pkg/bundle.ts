import { build, type Plugin } from 'esbuild';

/** Leaves out what is not used of a package that does not declare that its modules have no side effects. */
export function withoutUnused(name: string): Plugin {
  return {
    name: 'without-unused',
    setup({ onResolve, resolve }) {
      onResolve({ filter: /./ }, async ({ path, importer, kind, resolveDir, pluginData }) => {
        if (pluginData === name || !`${importer} ${path}`.includes(name)) {
          return undefined;
        }
        const found = await resolve(path, { kind, importer, resolveDir, pluginData: name });
        return { ...found, sideEffects: false };
      });
    },
  };
}

/** Makes one file of a program and all that it imports: the form that the executables carry. */
export async function bundle(entry: string, outfile: string, plugins: readonly Plugin[] = []): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minifySyntax: true,
    // The text of the bundle stays in memory: it should be short.
    minifyWhitespace: true,
    plugins: [...plugins],
    legalComments: 'eof',
    logLevel: 'warning',
    // CommonJS has no import.meta; packages ask it only for a path to build a `require` from.
    define: { 'import.meta.url': '__filename_url' },
    banner: { js: 'const __filename_url = require("node:url").pathToFileURL(process.execPath).href;' },
  });
}
