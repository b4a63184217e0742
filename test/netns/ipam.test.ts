import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeNodeCache } from '../../src/rundir/write.ts';
import { add, callIpamPlugin, check, del, HOST_LOCAL, ipamFolder } from '../helpers/netns/ipam.ts';
import { ipamTest } from '../helpers/netns/ipam-test.ts';
import { createNamespace, withEnv } from '../helpers/netns/netns.ts';
import { seedCache } from '../helpers/unit/cache.ts';
import {
  type Conflist,
  chainAdd,
  chainCheck,
  chainDel,
  type ExecPlugin,
  podArgs,
} from '../helpers/unit/cni.ts';
import { ROOT } from '../helpers/unit/root.ts';

ipamTest('a node is switched over with its pods: what host-local gave out stays theirs', async (t) => {
  const { base, plugin } = ipamFolder(t);
  const config = { cniVersion: '1.0.0', name: 'net', ipam: { subnet: '10.1.2.0/29', dataDir: base } };
  await callIpamPlugin(HOST_LOCAL, config, add('a'));
  await callIpamPlugin(HOST_LOCAL, config, add('b'));
  const { json } = await callIpamPlugin(plugin, config, add('c'));
  t.is(json.ips?.[0]?.address, '10.1.2.4/29');
  t.is((await callIpamPlugin(plugin, config, check('a'))).exitCode, 0);
  t.is((await callIpamPlugin(plugin, config, del('a'))).exitCode, 0);
  // And back.
  t.is((await callIpamPlugin(HOST_LOCAL, config, del('c'))).exitCode, 0);
  t.is((await callIpamPlugin(HOST_LOCAL, config, add('d'))).json.ips?.[0]?.address, '10.1.2.5/29');
  t.false(existsSync(join(base, 'net/10.1.2.2')));
});

ipamTest('nodePodCIDR: the same file on every node, dual stack included', async (t) => {
  const { base, plugin } = ipamFolder(t);
  const runDir = join(base, 'run');
  const config = { cniVersion: '1.1.0', name: 'net', ipam: { subnet: 'nodePodCIDR', dataDir: base, runDir } };
  t.is((await callIpamPlugin(plugin, config, add('a'))).json.code, 11);
  t.is((await callIpamPlugin(plugin, config, { verb: 'STATUS' })).json.code, 50);
  t.is((await callIpamPlugin(plugin, config, del('a'))).exitCode, 0, 'DEL needs no node cache');
  const cache = seedCache();
  writeNodeCache(runDir, { ...cache, node: { ...cache.node, podCidrs: ['10.7.0.0/24', 'fd00:7::/64'] } });
  const { json } = await callIpamPlugin(plugin, config, add('a'));
  t.deepEqual(
    json.ips?.map(({ address, gateway }) => [address, gateway]),
    [
      ['10.7.0.2/24', '10.7.0.1'],
      ['fd00:7::2/64', 'fd00:7::1'],
    ],
  );
  t.is((await callIpamPlugin(plugin, config, { verb: 'STATUS' })).exitCode, 0);
  const narrow = { ...config, ipam: { ...config.ipam, rangeStart: '10.7.0.9' } };
  t.is((await callIpamPlugin(plugin, narrow, add('b'))).json.code, 7);
});

ipamTest('GC keeps what is listed, and refuses to guess', async (t) => {
  const { base, plugin } = ipamFolder(t);
  const config = { cniVersion: '1.1.0', name: 'net', ipam: { subnet: '10.8.3.0/24', dataDir: base } };
  await callIpamPlugin(plugin, config, add('a'));
  await callIpamPlugin(plugin, config, add('b'));
  t.is((await callIpamPlugin(plugin, config, { verb: 'GC' })).json.code, 7);
  const valid = { ...config, 'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'eth0' }] };
  t.is((await callIpamPlugin(plugin, valid, { verb: 'GC' })).exitCode, 0);
  t.is((await callIpamPlugin(plugin, config, check('a'))).json.code, 102);
  t.is((await callIpamPlugin(plugin, config, check('b'))).exitCode, 0);
});

ipamTest('the complete chain of the example: bridge, trapline-ipam, portmap, trapline', async (t) => {
  const { base } = ipamFolder(t);
  const [node, pod] = [await createNamespace('ipam-node'), await createNamespace('ipam-pod')];
  t.teardown(node.remove);
  t.teardown(pod.remove);
  const runDir = join(base, 'run');
  const cache = seedCache();
  writeNodeCache(runDir, { ...cache, node: { ...cache.node, podCidrs: ['10.7.0.0/24', 'fd00:7::/64'] } });
  const text = readFileSync(join(ROOT, 'conf/examples/20-complete.conflist'), 'utf8');
  const example = JSON.parse(text) as Conflist;
  const plugins = example.plugins.map((plugin) => ({
    ...plugin,
    ...(plugin.type === 'trapline' ? { runDir } : {}),
    ...(plugin.type === 'bridge' ? { ipam: { ...(plugin.ipam as object), dataDir: base, runDir } } : {}),
  }));
  const exec: ExecPlugin = (type, env, input) => {
    const file = type === 'trapline' ? join(ROOT, 'pkg/dist/trapline') : `/usr/lib/cni/${type}`;
    return node.run(withEnv({ file, args: [], input }, { ...env, CNI_PATH: `${base}:/usr/lib/cni` }));
  };
  const target = {
    containerId: 'c0ffee',
    netns: pod.path,
    ifName: 'eth0',
    args: podArgs('kube-system', 'coredns-1', 'uid-1', 'c0ffee'),
  };
  const conflist = { ...example, plugins };
  const result = await chainAdd(exec, conflist, target);
  const { ips } = result as { ips: { address: string }[] };
  t.deepEqual(
    ips.map(({ address }) => address),
    ['10.7.0.2/24', 'fd00:7::2/64'],
  );
  t.regex(await pod.ip('-o', 'addr', 'show', 'dev', 'eth0'), /10\.7\.0\.2\/24/);
  t.regex(await node.ip('xfrm', 'policy'), /src 10\.7\.0\.2\/32/);
  await chainCheck(exec, conflist, target, result);
  await chainDel(exec, conflist, target, result);
  t.is(await node.ip('xfrm', 'policy'), '');
  t.false(existsSync(join(base, 'pods/10.7.0.2')));
});
