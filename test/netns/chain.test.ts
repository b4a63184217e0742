import { readdirSync, rmSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { planAttachment } from '../../src/ipsec/plan/plan.ts';
import { readAttachments } from '../../src/rundir/attachments.ts';
import { attachmentsDir, cachePath } from '../../src/rundir/paths.ts';
import type { NodeCache } from '../../src/rundir/schema.ts';
import { type CniNode, chainUnavailable, createCniNode } from '../helpers/netns/cni-node.ts';
import { netnsTest } from '../helpers/netns/netns-test.ts';
import { seedCache } from '../helpers/unit/cache.ts';
import { type ChainTarget, chainAdd, chainCheck, chainDel, podArgs } from '../helpers/unit/cni.ts';
import { sorted } from '../helpers/unit/fake-kernel.ts';

const seed = seedCache();
/** The seed's cluster with pods of both families. */
const DUAL = seedCache({
  peers: seed.peers.map((peer, index) => ({
    ...peer,
    podCidrs: [...peer.podCidrs, `fd00:${index + 2}::/64`],
  })),
});
const COREDNS = podArgs('kube-system', 'coredns-1', 'uid-1', 'c0ffee');
const CLIENT = podArgs('default', 'client', 'uid-2', 'c0ffee');
const VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];

const unavailable = chainUnavailable();
if (unavailable !== undefined) {
  console.error(`SKIPPED: chain tests: ${unavailable}`);
}

function chainTest(
  title: string,
  cache: NodeCache | null,
  body: (t: ExecutionContext, node: CniNode) => Promise<void>,
) {
  if (unavailable !== undefined) {
    test.skip(`${title} (${unavailable})`, () => {});
    return;
  }
  netnsTest(title, async (t) => {
    const node = await createCniNode(cache);
    t.teardown(node.remove);
    await body(t, node);
  });
}

function target(node: CniNode, args = COREDNS): ChainTarget {
  return { containerId: 'c0ffee', netns: node.pod.path, ifName: 'eth0', args };
}

for (const version of VERSIONS) {
  chainTest(`the chain in version ${version}: ADD, CHECK, DEL`, DUAL, async (t, node) => {
    const conflist = node.conflist(version);
    const result = await chainAdd(node.exec, conflist, target(node));
    t.is(result.cniVersion, version);
    t.true(Array.isArray(result.interfaces) && Array.isArray(result.ips) && result.ips.length === 2);

    const [record, ...others] = readAttachments(node.runDir).records;
    t.deepEqual(others, []);
    t.deepEqual([...(record?.addresses ?? [])].sort(), ['172.16.166.130', 'fd00:1::2']);
    const planned = sorted(
      planAttachment(DUAL, { pod: record?.pod ?? null, addresses: record?.addresses ?? [] }),
    );
    t.is(planned.length, 32);
    t.deepEqual(await node.policies(), planned);
    t.deepEqual(node.ipCalls(), ['-batch -']);

    if (version !== '0.3.1') {
      await chainCheck(node.exec, conflist, target(node), result);
      await node.namespace.ip('xfrm', 'policy', 'flush');
      await t.throwsAsync(chainCheck(node.exec, conflist, target(node), result), { message: /"code":102/ });
    }
    await chainDel(node.exec, conflist, target(node), result);
    t.is(await node.namespace.ip('xfrm', 'policy'), '');
    t.deepEqual(readdirSync(node.runDir, { recursive: true }).sort(), ['attachments', 'node.json']);
    await chainDel(node.exec, conflist, target(node));
  });
}

chainTest('ADD of a pod that backs nothing starts no ip; DEL neither', DUAL, async (t, node) => {
  const conflist = node.conflist('1.0.0');
  const result = await chainAdd(node.exec, conflist, target(node, CLIENT));
  t.is(readAttachments(node.runDir).records.length, 1);
  await chainDel(node.exec, conflist, target(node, CLIENT), result);
  t.deepEqual(node.ipCalls(), []);
  t.deepEqual(readdirSync(attachmentsDir(node.runDir)), []);
});

chainTest('DEL after namespace, cache and prevResult are gone', DUAL, async (t, node) => {
  const conflist = node.conflist('1.0.0');
  await chainAdd(node.exec, conflist, target(node));
  t.is((await node.policies()).length, 32);
  rmSync(cachePath(node.runDir));
  await chainDel(node.exec, conflist, { ...target(node), netns: '/run/netns/tl-gone' });
  t.deepEqual(await node.policies(), []);
  t.deepEqual(readdirSync(attachmentsDir(node.runDir)), []);
});

chainTest(
  'a pod that the cache does not know: code 11, and the chain is undone by DEL',
  null,
  async (t, node) => {
    const conflist = node.conflist('1.0.0');
    await t.throwsAsync(chainAdd(node.exec, conflist, target(node)), {
      message: /^trapline ADD: .*"code":11/,
    });
    await chainDel(node.exec, conflist, target(node));
    t.deepEqual(readdirSync(node.runDir), []);
    t.deepEqual(node.ipCalls(), []);
  },
);

chainTest('policies of others stay through ADD and DEL', DUAL, async (t, node) => {
  const foreign = 'dir out src 172.16.166.128/26 dst 172.16.192.64/26 priority 379519';
  const template = 'tmpl src 192.168.206.3 dst 192.168.206.2 proto esp reqid 3 mode tunnel';
  await node.namespace.ip('xfrm', 'policy', 'add', ...foreign.split(' '), ...template.split(' '));
  const before = await node.namespace.ip('xfrm', 'policy');
  const result = await chainAdd(node.exec, node.conflist('1.0.0'), target(node));
  await chainDel(node.exec, node.conflist('1.0.0'), target(node), result);
  t.is(await node.namespace.ip('xfrm', 'policy'), before);
});

chainTest('GC takes what is not listed, STATUS says why not', DUAL, async (t, node) => {
  const conflist = node.conflist('1.1.0');
  await chainAdd(node.exec, conflist, target(node));
  const call = (command: string, more: object = {}) => {
    const config = { ...conflist.plugins[1], cniVersion: '1.1.0', name: 'pods', ...more };
    return node.exec('trapline', { CNI_COMMAND: command, CNI_PATH: '/usr/lib/cni' }, JSON.stringify(config));
  };
  const key = 'cni.dev/valid-attachments';
  t.is((await call('GC', { [key]: [{ containerID: 'c0ffee', ifname: 'eth0' }] })).stdout, '');
  t.is((await node.policies()).length, 32);
  t.is(JSON.parse((await call('GC')).stdout).code, 7);
  t.is((await node.policies()).length, 32);
  t.deepEqual(await call('GC', { [key]: [] }), { exitCode: 0, stdout: '', stderr: '' });
  t.is(await node.namespace.ip('xfrm', 'policy'), '');
  const status = JSON.parse((await call('STATUS', { cacheMaxAgeMs: 10 ** 14 })).stdout);
  t.is(status.code, 50);
  t.regex(status.msg, /trapline-agent is not alive/);
});

chainTest('ten pods at once', DUAL, async (t, node) => {
  const ids = Array.from({ length: 10 }, (_, index) => `pod${index}`);
  const input = (id: string, index: number) => {
    const prevResult = {
      interfaces: [{ name: 'eth0', sandbox: '/n' }],
      ips: [{ address: `172.16.166.${140 + index}/26`, interface: 0 }],
    };
    const [, trapline] = node.conflist('1.0.0').plugins;
    const config = { ...trapline, cniVersion: '1.0.0', name: 'pods', prevResult };
    const env = { CNI_CONTAINERID: id, CNI_NETNS: node.pod.path, CNI_IFNAME: 'eth0', CNI_ARGS: COREDNS };
    return { env, stdin: JSON.stringify(config) };
  };
  for (const [command, count, left] of [
    ['ADD', 160, 10],
    ['DEL', 0, 0],
  ] as const) {
    const outputs = await Promise.all(
      ids.map((id, index) => {
        const { env, stdin } = input(id, index);
        return node.exec('trapline', { ...env, CNI_COMMAND: command }, stdin);
      }),
    );
    t.deepEqual(
      outputs.map(({ exitCode }) => exitCode),
      Array(10).fill(0),
      outputs.map(({ stdout }) => stdout).join(),
    );
    t.is((await node.policies()).length, count);
    t.is(readdirSync(attachmentsDir(node.runDir)).length, left);
  }
});
