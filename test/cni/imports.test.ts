import { join, relative } from 'node:path';
import test from 'ava';
import { build } from 'esbuild';
import { ROOT } from '../helpers/unit/root.ts';

/** Everything that the executable of the hot path carries: an import costs every pod's start. */
const PACKAGES = ['zod'];
const BUILTINS = ['node:child_process', 'node:crypto', 'node:fs', 'node:net', 'node:path', 'node:v8'];
const FOLDERS = [
  'bin',
  'src',
  'src/cni',
  'src/cni/types',
  'src/cni/verbs',
  'src/exec',
  'src/ip',
  'src/ipam',
  'src/ipsec/plan',
  'src/ipsec/plan/policies',
  'src/ipsec/xfrm',
  'src/ipsec/xfrm/parse',
  'src/ipsec/xfrm/write',
  'src/rundir',
  'src/rundir/lock',
  'src/util',
];

test('the plugin imports what it needs, and nothing else', async (t) => {
  const { metafile } = await build({
    entryPoints: [join(ROOT, 'bin/trapline.ts')],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
    metafile: true,
    conditions: ['source'],
    logLevel: 'silent',
    absWorkingDir: ROOT,
  });
  const inputs = Object.entries(metafile.inputs);
  const files = inputs.map(([path]) => relative(ROOT, join(ROOT, path)));
  const packages = files.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  const folders = files.flatMap((path) =>
    path.includes('node_modules') ? [] : [path.slice(0, path.lastIndexOf('/'))],
  );
  const builtins = inputs.flatMap(([, { imports }]) =>
    imports.flatMap(({ path, external }) => (external === true ? [path] : [])),
  );
  const unique = (list: readonly string[]): string[] => [...new Set(list)].sort();
  t.deepEqual(
    { packages: unique(packages), builtins: unique(builtins), folders: unique(folders) },
    { packages: PACKAGES, builtins: BUILTINS, folders: FOLDERS },
  );
});
