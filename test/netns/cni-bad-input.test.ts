import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cachePath } from '../../src/rundir/paths.ts';
import { BAD_INPUT } from '../cni/bad-input/all.ts';
import { createCniNode } from '../helpers/netns/cni-node.ts';
import { netnsTest } from '../helpers/netns/netns-test.ts';
import { corednsArgs, prevResult } from '../helpers/unit/plugin.ts';

netnsTest(
  'the executable refuses bad input by code, field and value, and leaves nothing behind',
  async (t) => {
    const node = await createCniNode(null);
    t.teardown(node.remove);
    const [, trapline] = node.conflist('1.0.0').plugins;
    const good = { ...trapline, cniVersion: '1.0.0', name: 'pods', prevResult: prevResult() };
    for (const { title, command, env = {}, config = {}, cache, code, says } of BAD_INPUT) {
      rmSync(node.runDir, { recursive: true, force: true });
      mkdirSync(node.runDir);
      if (cache !== undefined) {
        writeFileSync(cachePath(node.runDir), cache);
      }
      const variables: Record<string, string | undefined> = {
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'c0ffee',
        CNI_NETNS: node.pod.path,
        CNI_IFNAME: 'eth0',
        CNI_ARGS: corednsArgs(),
        CNI_PATH: '/usr/lib/cni',
        ...env,
      };
      const given = Object.entries(variables).flatMap(([key, value]) =>
        value === undefined ? [] : [[key, value]],
      );
      const stdin = typeof config === 'string' ? config : JSON.stringify({ ...good, ...config });
      const output = await node.exec('trapline', Object.fromEntries(given), stdin);
      t.is(output.exitCode, 1, title);
      const error = JSON.parse(output.stdout);
      t.is(error.code, code, `${title}: ${output.stdout}`);
      t.regex(error.msg, says, title);
      t.deepEqual(readdirSync(node.runDir), cache === undefined ? [] : ['node.json'], title);
    }
    t.deepEqual(node.ipCalls(), []);
    t.is(await node.namespace.ip('xfrm', 'policy'), '');
  },
);

netnsTest('without CNI_COMMAND the executable says what it is, on stderr', async (t) => {
  const node = await createCniNode(null);
  t.teardown(node.remove);
  const output = await node.exec('trapline', {}, '');
  t.is(output.exitCode, 0);
  t.is(output.stdout, '');
  t.regex(
    output.stderr ?? '',
    /^CNI trapline plugin .*\nCNI protocol versions supported: 0\.3\.1, .*1\.1\.0\n$/,
  );
});
