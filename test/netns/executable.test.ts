import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { planAttachment } from '../../src/ipsec/plan/plan.ts';
import { renderOperation } from '../../src/ipsec/xfrm/write/render.ts';
import { readAttachments } from '../../src/rundir/attachments.ts';
import { attachmentsDir, cachePath } from '../../src/rundir/paths.ts';
import type { NodeCache } from '../../src/rundir/schema.ts';
import { type CniNode, createCniNode } from '../helpers/netns/cni-node.ts';
import { netnsTest } from '../helpers/netns/netns-test.ts';
import { corednsAttachment, seedCache } from '../helpers/unit/cache.ts';
import type { PluginOutput } from '../helpers/unit/cni.ts';
import { corednsArgs, prevResult } from '../helpers/unit/plugin.ts';

interface Call {
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: object;
}

type Run = (command: string, call?: Call) => Promise<PluginOutput>;

function executableTest(
  title: string,
  cache: NodeCache | null,
  body: (t: ExecutionContext, run: Run, node: CniNode) => Promise<void>,
): void {
  netnsTest(`executable: ${title}`, async (t) => {
    const node = await createCniNode(cache);
    t.teardown(node.remove);
    const [, trapline] = node.conflist('1.0.0').plugins;
    const good = { ...trapline, cniVersion: '1.0.0', name: 'pods', prevResult: prevResult() };
    const run: Run = (command, { env = {}, config = {} } = {}) =>
      node.exec(
        'trapline',
        {
          CNI_COMMAND: command,
          CNI_CONTAINERID: 'c0ffee',
          CNI_NETNS: node.pod.path,
          CNI_IFNAME: 'eth0',
          CNI_ARGS: corednsArgs(),
          CNI_PATH: '/usr/lib/cni',
          ...env,
        },
        JSON.stringify({ ...good, ...config }),
      );
    await body(t, run, node);
  });
}

function errorOf(t: ExecutionContext, { exitCode, stdout }: PluginOutput): { code: number; msg: string } {
  t.is(exitCode, 1, stdout);
  return JSON.parse(stdout) as { code: number; msg: string };
}

const planned = planAttachment(seedCache(), corednsAttachment);
const [somePolicy] = planned;

executableTest("what Node's variables ask for is ignored", seedCache(), async (t, run, node) => {
  const marker = join(node.runDir, 'marker');
  const script = join(node.runDir, 'script.cjs');
  writeFileSync(script, `require('node:fs').writeFileSync(${JSON.stringify(marker)}, '')`);
  const env = {
    NODE_OPTIONS: `--require=${script} --inspect=127.0.0.1:0`,
    NODE_DEBUG: 'net,fs',
    NODE_V8_COVERAGE: node.runDir,
  };
  const output = await run('ADD', { env });
  t.deepEqual({ ...output, stdout: '' }, { exitCode: 0, stdout: '', stderr: '' });
  t.false(existsSync(marker));
  t.is((await node.policies()).length, planned.length);
});

executableTest('VERSION', null, async (t, run) => {
  const { exitCode, stdout } = await run('VERSION', { config: { cniVersion: '1.1.0' } });
  t.is(exitCode, 0);
  t.deepEqual(JSON.parse(stdout), {
    cniVersion: '1.1.0',
    supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  });
});

executableTest('a node cache that is a folder: code 5', null, async (t, run, node) => {
  mkdirSync(cachePath(node.runDir), { recursive: true });
  const { code, msg } = errorOf(t, await run('ADD'));
  t.is(code, 5);
  t.regex(msg, /node\.json/);
  t.deepEqual(node.ipCalls(), []);
});

executableTest("another's policy in the way: code 101, it stays", seedCache(), async (t, run, node) => {
  t.truthy(somePolicy);
  const line = renderOperation({ op: 'add', policy: somePolicy ?? neverPlanned() }).replace(
    /priority \d+/,
    'priority 379519',
  );
  await node.namespace.ip(...line.split(' '));
  const before = await node.namespace.ip('xfrm', 'policy');
  const { code, msg } = errorOf(t, await run('ADD'));
  t.is(code, 101);
  t.regex(msg, /not ours \(priority 379519/);
  t.is(
    await node.namespace.ip('xfrm', 'policy'),
    before,
    'what was laid before the conflict is taken out again',
  );
  t.deepEqual(readdirSync(attachmentsDir(node.runDir)), []);
});

executableTest(
  'ip that fails: code 100 with what it said, nothing left',
  seedCache(),
  async (t, run, node) => {
    const broken = join(node.runDir, 'ip');
    writeFileSync(broken, '#!/bin/sh\necho "RTNETLINK answers: No buffer space available" >&2\nexit 2\n');
    chmodSync(broken, 0o755);
    const { code, msg } = errorOf(t, await run('ADD', { config: { ip: broken } }));
    t.is(code, 100);
    t.regex(msg, /No buffer space available/);
    t.is(await node.namespace.ip('xfrm', 'policy'), '');
    t.deepEqual(readdirSync(attachmentsDir(node.runDir)), []);
  },
);

executableTest(
  'one policy deleted behind our back: CHECK says so, code 102',
  seedCache(),
  async (t, run, node) => {
    t.is((await run('ADD')).exitCode, 0);
    t.is((await run('CHECK')).exitCode, 0);
    const [policy = neverPlanned()] = readAttachments(node.runDir).records[0]?.policies ?? [];
    await node.namespace.ip(...renderOperation({ op: 'delete', policy }).split(' '));
    const { code, msg } = errorOf(t, await run('CHECK'));
    t.is(code, 102);
    t.regex(msg, /^1 of 16 policies/);
  },
);

function neverPlanned(): never {
  throw new Error('nothing is planned for the pod');
}
