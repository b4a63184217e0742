import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { pino } from 'pino';
import { createNodeKernel } from '../../src/agent/kernel/node-kernel.ts';
import { planPolicies } from '../../src/ipsec/plan/plan.ts';
import type { StreamingIproute2 } from '../../src/ipsec/xfrm/iproute2.ts';
import { type CniNode, createCniNode } from '../helpers/netns/cni-node.ts';
import { IP } from '../helpers/netns/netns.ts';
import { netnsTest } from '../helpers/netns/netns-test.ts';
import { seedCache } from '../helpers/unit/cache.ts';
import { pluginEnv } from '../helpers/unit/cni.ts';
import { clientArgs, corednsArgs, prevResult } from '../helpers/unit/plugin.ts';

/** The real `ip`, which gets nonsense in place of those lines of a batch that have `part` in them. */
function refusing(node: CniNode, name: string, part: string): string {
  const path = join(node.runDir, name);
  const line = `sed 's#^xfrm policy add .*${part}.*#xfrm policy add dir out src nonsense#' | exec ${IP} "$@"`;
  writeFileSync(path, `#!/bin/sh\n[ "$1" = -batch ] || exec ${IP} "$@"\n${line}\n`);
  chmodSync(path, 0o755);
  return path;
}

function through({ namespace: { run } }: CniNode, ip: string): StreamingIproute2 {
  return {
    run,
    stream: async (command, take) => {
      const { stdout, ...rest } = await run(command);
      await take(stdout);
      return rest;
    },
    ip,
  };
}

async function call(node: CniNode, command: string, args: string, settings: object = {}) {
  const [, plugin] = node.conflist('1.1.0').plugins;
  const config = { ...plugin, cniVersion: '1.1.0', name: 'pods', ...settings };
  const target = { containerId: 'c0ffee', netns: node.pod.path, ifName: 'eth0', args };
  const input = command === 'ADD' ? { ...config, prevResult: prevResult(undefined, '1.1.0') } : config;
  const { exitCode, stdout } = await node.exec('trapline', pluginEnv(command, target), JSON.stringify(input));
  return exitCode === 0 ? { code: 0, msg: '' } : (JSON.parse(stdout) as { code: number; msg: string });
}

const log = pino({ level: 'silent' });
const { bootId: _, ...cache } = seedCache({ writtenAt: Date.now() });

async function nodeOf(t: ExecutionContext): Promise<CniNode> {
  const node = await createCniNode(cache);
  t.teardown(node.remove);
  return node;
}

netnsTest('no pod starts on a node whose ip refuses the batch, and each does once it is laid', async (t) => {
  const node = await nodeOf(t);
  const broken = through(node, refusing(node, 'ip-broken', ''));
  await t.throwsAsync(createNodeKernel(node.runDir, broken, log).enforce(cache, {}), { message: /nonsense/ });
  t.deepEqual(await node.policies(), []);
  for (const args of [corednsArgs(), clientArgs()]) {
    for (const onCacheMiss of ['fail', 'pass']) {
      const { code, msg } = await call(node, 'ADD', args, { onCacheMiss });
      t.is(code, 11);
      t.regex(msg, /nothing has been enforced on this node since it booted/);
    }
  }
  const status = await call(node, 'STATUS', '');
  t.is(status.code, 50);
  t.regex(status.msg, /nothing has been enforced/);

  await createNodeKernel(node.runDir, through(node, IP), log).enforce(cache, {});
  t.is((await node.policies()).length, planPolicies(cache, []).length);
  t.is((await call(node, 'ADD', clientArgs())).code, 0);
  t.regex((await call(node, 'STATUS', '')).msg, /trapline-agent is not alive/);
});

netnsTest('one policy that ip refuses holds up no other, and a pod that needs none of it', async (t) => {
  const node = await nodeOf(t);
  const one = through(node, refusing(node, 'ip-one', 'dst 172.16.192.115/32 proto 17 dport 53'));
  const kernel = createNodeKernel(node.runDir, one, log);
  for (let step = 0; step < 2; step += 1) {
    const done = await kernel.enforce(cache, {});
    t.is(done.refused.length, 1);
    t.regex(done.refused[0] ?? '', /dir out src .* dst 172.16.192.115\/32 proto 17 dport 53 .*nonsense/);
    t.is((await node.policies()).length, planPolicies(cache, []).length - 1);
  }
  t.is((await call(node, 'ADD', clientArgs())).code, 0);
  t.is((await call(node, 'ADD', corednsArgs())).code, 0);
});
