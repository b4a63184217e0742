import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { cachePath } from '../../src/rundir/paths.ts';
import { createNode, errorOf } from '../helpers/unit/plugin.ts';
import { BAD_INPUT } from './bad-input/all.ts';

for (const { title, command, env = {}, config = {}, cache, code, says } of BAD_INPUT) {
  test(`${title}: code ${code}`, async (t) => {
    const node = createNode(t, null);
    if (cache !== undefined) {
      writeFileSync(cachePath(node.runDir), cache);
    }
    const before = readdirSync(node.runDir, { recursive: true });
    const error = errorOf(t, await node.call(command, { env, config }));
    t.is(error.code, code, error.msg);
    t.regex(error.msg, says);
    t.deepEqual(Object.keys(error).sort(), ['cniVersion', 'code', 'msg']);
    t.deepEqual(readdirSync(node.runDir, { recursive: true }), before);
    t.deepEqual(node.kernel.commands, []);
  });
}

test('ADD with a cache that cannot be read: code 5', async (t) => {
  const node = createNode(t, null);
  mkdirSync(cachePath(node.runDir));
  const error = errorOf(t, await node.call('ADD'));
  t.is(error.code, 5);
  t.regex(error.msg, /^node cache: .*node\.json: EISDIR/);
  t.deepEqual(readdirSync(node.runDir), ['node.json']);
});

test('an error comes in the version of the configuration, if that is one of ours', async (t) => {
  const node = createNode(t, null);
  for (const [cniVersion, answer] of [
    ['0.4.0', '0.4.0'],
    ['1.1.0', '1.1.0'],
    ['9.9.9', '1.1.0'],
  ]) {
    const error = errorOf(t, await node.call('ADD', { config: { cniVersion, prevResult: undefined } }));
    t.is(error.cniVersion, answer ?? '');
  }
});
