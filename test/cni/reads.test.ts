import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import test from 'ava';
import { cachePath } from '../../src/rundir/paths.ts';
import { clientArgs, createNode } from '../helpers/unit/plugin.ts';

/** Counts what is read while `action` runs. */
async function readsOf(action: () => Promise<unknown>): Promise<string[]> {
  const original = fs.readFileSync;
  const paths: string[] = [];
  const counting = (...args: Parameters<typeof original>) => {
    paths.push(String(args[0]));
    return original(...args);
  };
  fs.readFileSync = counting as typeof original;
  syncBuiltinESMExports();
  try {
    await action();
  } finally {
    fs.readFileSync = original;
    syncBuiltinESMExports();
  }
  return paths;
}

for (const [title, args] of [
  ['backs nothing', clientArgs()],
  ['is protected', undefined],
] as const) {
  test.serial(`ADD of a pod that ${title} reads the node cache once`, async (t) => {
    const node = createNode(t);
    const env = args === undefined ? {} : { CNI_ARGS: args };
    const reads = await readsOf(() => node.call('ADD', { env }));
    t.deepEqual(
      reads.filter((path) => path.startsWith(node.runDir) && !path.endsWith('/lock')),
      [cachePath(node.runDir)],
    );
    t.deepEqual(
      reads.filter((path) => path.startsWith('/proc/sys/')),
      ['/proc/sys/kernel/random/boot_id'],
    );
    t.is(node.kernel.commands.length, args === undefined ? 1 : 0);
  });
}
