import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { writeNodeCache } from '../../src/cache/write.ts';
import { seedCache } from '../helpers/cache.ts';
import { type Conflist, chainAdd, chainCheck, chainDel, type ExecPlugin, podArgs } from '../helpers/cni.ts';
import {
  callIpamPlugin,
  HOST_LOCAL,
  type IpamAnswer,
  type IpamCall,
  ipamFolder,
  ipamUnavailable,
} from '../helpers/ipam.ts';
import { createNamespace, must, netnsUnavailable, withEnv } from '../helpers/netns.ts';
import { ROOT } from '../helpers/root.ts';

const missing = ipamUnavailable() ?? (await netnsUnavailable());
// One after the other: times are part of what is tested.
const run = missing === undefined ? test.serial : test.serial.skip;
if (missing !== undefined) {
  console.error(`SKIPPED: trapline-ipam: ${missing}`);
}

const RESOLV = 'nameserver 10.96.0.10\nsearch a.local b.local\ndomain a.local\noptions ndots:5\n';
const four = (more: object = {}): object => ({ subnet: '10.1.2.0/29', ...more });
const six = (more: object = {}): object => ({ subnet: 'fd00:1:2::/125', ...more });

interface Case {
  readonly ipam: object | undefined;
  readonly more?: object;
  readonly calls?: readonly IpamCall[];
  /** What is better, where the two differ. */
  readonly better?: string;
}

const add = (containerId: string, more: Partial<IpamCall> = {}): IpamCall => ({ containerId, ...more });
const del = (containerId: string, more: Partial<IpamCall> = {}): IpamCall => ({
  verb: 'DEL',
  containerId,
  ...more,
});
const check = (containerId: string): IpamCall => ({ verb: 'CHECK', containerId });
const many = (count: number): IpamCall[] => Array.from({ length: count }, (_, index) => add(`m${index}`));
const ranges = (...sets: object[][]): object => ({ ranges: sets });

/** Each is called with both plugins. Unless `calls` says otherwise: three ADDs, a DEL, two ADDs. */
const CASES: Readonly<Record<string, Case>> = {
  'a subnet': { ipam: four() },
  'a subnet, to its end': { ipam: four(), calls: many(7) },
  'a /30': { ipam: { subnet: '10.1.2.0/30' }, calls: many(3) },
  'a /31': { ipam: { subnet: '10.1.2.0/31' } },
  'a /32': { ipam: { subnet: '10.1.2.1/32' } },
  'a /8': { ipam: { subnet: '10.0.0.0/8' } },
  'a /0': { ipam: { subnet: '0.0.0.0/0' } },
  IPv6: { ipam: six() },
  'IPv6, to its end': { ipam: six(), calls: many(8) },
  'an IPv6 /126': { ipam: { subnet: 'fd00::/126' }, calls: many(4) },
  'an IPv6 /127': { ipam: { subnet: 'fd00::/127' } },
  'an IPv6 /8': { ipam: { subnet: 'fd00::/8' } },
  'IPv6 in another spelling': { ipam: { subnet: 'FD00:0001:0002:0000::/64', gateway: 'FD00:1:2::00FF' } },
  rangeStart: { ipam: four({ rangeStart: '10.1.2.4' }), calls: many(4) },
  rangeEnd: { ipam: four({ rangeEnd: '10.1.2.3' }), calls: many(3) },
  both: { ipam: four({ rangeStart: '10.1.2.3', rangeEnd: '10.1.2.4' }), calls: many(3) },
  'one address': { ipam: four({ rangeStart: '10.1.2.3', rangeEnd: '10.1.2.3' }), calls: many(2) },
  'rangeStart is the network': { ipam: four({ rangeStart: '10.1.2.0' }), calls: many(2) },
  'rangeEnd is the broadcast address': {
    ipam: four({ rangeStart: '10.1.2.6', rangeEnd: '10.1.2.7' }),
    calls: many(3),
  },
  'rangeStart outside': { ipam: four({ rangeStart: '10.1.3.1' }) },
  'rangeEnd outside': { ipam: four({ rangeEnd: '10.1.3.1' }) },
  'rangeEnd before rangeStart': { ipam: four({ rangeStart: '10.1.2.5', rangeEnd: '10.1.2.3' }) },
  'rangeStart of another family': { ipam: four({ rangeStart: 'fd00::1' }) },
  'rangeStart is no address': { ipam: four({ rangeStart: '10.1.2' }) },
  'IPv6 rangeStart and rangeEnd': {
    ipam: six({ rangeStart: 'fd00:1:2::4', rangeEnd: 'fd00:1:2::5' }),
    calls: many(3),
  },
  'a gateway in the middle': { ipam: four({ gateway: '10.1.2.3' }), calls: many(6) },
  'a gateway at the end': { ipam: four({ gateway: '10.1.2.6' }), calls: many(6) },
  'a gateway outside': { ipam: four({ gateway: '10.9.9.9' }), calls: many(7) },
  'a gateway of another family': {
    ipam: four({ gateway: 'fd00::1' }),
    better: 'host-local takes a gateway that no pod could reach',
  },
  'a gateway that is none': { ipam: four({ gateway: 'nobody' }) },
  'host bits': { ipam: { subnet: '10.1.2.3/24' } },
  'IPv6 host bits': { ipam: { subnet: 'fd00::1/64' } },
  'no prefix length': { ipam: { subnet: '10.1.2.0' } },
  'a prefix length too long': { ipam: { subnet: '10.1.2.0/33' } },
  'a subnet that is none': { ipam: { subnet: 'hello' } },
  'a leading zero': { ipam: { subnet: '010.1.2.0/24' } },
  'an empty subnet': { ipam: { subnet: '' } },
  'no ranges': { ipam: {} },
  'an empty list of ranges': { ipam: ranges() },
  'an empty set': { ipam: ranges([]) },
  'no ipam': { ipam: undefined },
  'two ranges in a set': {
    ipam: ranges([four({ rangeStart: '10.1.2.5' }), { subnet: '10.1.4.0/30' }]),
    calls: many(5),
  },
  'two ranges of a subnet': {
    ipam: ranges([four({ rangeEnd: '10.1.2.3' }), four({ rangeStart: '10.1.2.5' })]),
    calls: many(6),
  },
  'two sets': { ipam: ranges([four()], [{ subnet: '10.1.4.0/29' }]) },
  'dual stack': { ipam: ranges([four()], [six()]) },
  'dual stack, one set full': { ipam: ranges([{ subnet: '10.1.2.0/30' }], [six()]), calls: many(3) },
  'two families in a set': { ipam: ranges([four(), six()]) },
  'sets that overlap': { ipam: ranges([four()], [{ subnet: '10.1.0.0/16' }]) },
  'a set that overlaps itself': { ipam: ranges([four(), four()]) },
  'subnet and ranges': { ipam: { ...four(), ranges: [[six()]] } },
  'capability ipRanges': { ipam: { type: 'x' }, more: { runtimeConfig: { ipRanges: [[four()]] } } },
  'capability ipRanges and ranges': {
    ipam: ranges([six()]),
    more: { runtimeConfig: { ipRanges: [[four()]] } },
  },
  'capability ips': { ipam: four(), more: { runtimeConfig: { ips: ['10.1.2.5'] } }, calls: [add('a')] },
  'capability ips with a prefix length': {
    ipam: four(),
    more: { runtimeConfig: { ips: ['10.1.2.5/29'] } },
    calls: [add('a')],
  },
  'args.cni.ips': {
    ipam: ranges([four()], [six()]),
    more: { args: { cni: { ips: ['10.1.2.4', 'fd00:1:2::4'] } } },
    calls: [add('a'), add('b')],
  },
  'args.cni.ips for one of two sets': {
    ipam: ranges([four()], [six()]),
    more: { args: { cni: { ips: ['fd00:1:2::4'] } } },
    calls: [add('a')],
  },
  'IP= of CNI_ARGS': {
    ipam: four(),
    calls: [add('a', { args: 'IP=10.1.2.4' }), add('b', { args: 'IP=10.1.2.4' }), add('c')],
  },
  'IP= is the gateway': { ipam: four(), calls: [add('a', { args: 'IP=10.1.2.1' }), add('b')] },
  'IP= outside': { ipam: four(), calls: [add('a', { args: 'IP=10.9.9.9' }), add('b')] },
  'IP= of another family': { ipam: four(), calls: [add('a', { args: 'IP=fd00::9' }), add('b')] },
  'IP= is none': { ipam: four(), calls: [add('a', { args: 'IP=me' }), add('b')] },
  'two IPs for one set': {
    ipam: four(),
    more: { args: { cni: { ips: ['10.1.2.4', '10.1.2.5'] } } },
    calls: [add('a'), add('b')],
  },
  routes: { ipam: { ...four(), routes: [{ dst: '0.0.0.0/0' }, { dst: '10.0.0.0/8', gw: '10.1.2.6' }] } },
  'a route that is none': { ipam: { ...four(), routes: [{ dst: 'there' }] } },
  'an IPv6 route': { ipam: { ...six(), routes: [{ dst: '::/0', gw: 'fd00:1:2::1' }] } },
  resolvConf: { ipam: { ...four(), resolvConf: 'RESOLV' } },
  'a resolvConf that is not there': { ipam: { ...four(), resolvConf: '/nowhere/resolv.conf' } },
  'twice the same container': {
    ipam: four(),
    calls: [add('a'), add('a'), add('a', { ifName: 'eth1' }), del('a'), add('a')],
  },
  'DEL of nobody': { ipam: four(), calls: [del('a'), add('a'), del('a'), del('a')] },
  'DEL of one interface': {
    ipam: four(),
    calls: [add('a'), add('a', { ifName: 'eth1' }), del('a', { ifName: 'eth1' }), check('a'), add('b')],
  },
  CHECK: { ipam: four(), calls: [check('a'), add('a'), check('a'), del('a'), check('a')] },
  'what was given back is used last': {
    ipam: four(),
    calls: [...many(4), del('m1'), add('x'), add('y'), add('z')],
  },
  'what was given back longest ago is used first': {
    ipam: four(),
    calls: [...many(5), del('m3'), del('m0'), add('x'), add('y')],
    better: 'host-local goes around; the address that was freed first has been free for the longest time',
  },
  'version 0.3.1': { ipam: four(), more: { cniVersion: '0.3.1' } },
  'version 0.4.0, dual stack': { ipam: ranges([four()], [six()]), more: { cniVersion: '0.4.0' } },
  'a version that nobody knows': { ipam: four(), more: { cniVersion: '9.9.9' } },
};

const DEFAULT_CALLS = [add('a'), add('b'), add('c'), del('b'), add('d'), add('e')];

/** What a runtime goes by. host-local has one code, 999, for all that it refuses. */
function essence({ exitCode, json }: IpamAnswer): object {
  if (exitCode !== 0) {
    return { refused: true };
  }
  const { ips, routes = [], dns = {}, cniVersion } = json;
  return { ips, routes, dns, cniVersion };
}

for (const [name, { ipam, more = {}, calls = DEFAULT_CALLS, better }] of Object.entries(CASES)) {
  run(`like host-local: ${name}`, async (t) => {
    const { base, plugin } = ipamFolder(t);
    const resolv = join(base, 'resolv.conf');
    writeFileSync(resolv, RESOLV);
    const answers = await Promise.all(
      [HOST_LOCAL, plugin].map(async (file, index) => {
        const settings =
          ipam === undefined
            ? {}
            : {
                ipam: {
                  ...(JSON.parse(JSON.stringify(ipam).replace('RESOLV', resolv)) as object),
                  dataDir: join(base, String(index)),
                },
              };
        const config = { cniVersion: '1.0.0', name: 'net', ...settings, ...more };
        const said: IpamAnswer[] = [];
        for (const call of calls) {
          said.push(await callIpamPlugin(file, config, call));
          // Times of files tell which was given back first.
          await sleep(3);
        }
        return said;
      }),
    );
    const [theirs = [], ours = []] = answers;
    if (better === undefined) {
      // DEL and CHECK do not depend on ranges: what is given out must be given back whatever the configuration says now.
      const compared = ours.map((answer, index) => {
        const { verb } = calls[index] ?? {};
        const freed = verb === 'DEL' && theirs[index]?.exitCode !== 0 && answer.exitCode === 0;
        return freed ? { refused: true } : essence(answer);
      });
      t.deepEqual(compared, theirs.map(essence), JSON.stringify(ours.map(({ json }) => json.msg)));
    } else {
      t.notDeepEqual(ours.map(essence), theirs.map(essence), better);
    }
    for (const { exitCode, json } of ours.filter((one) => one.exitCode !== 0)) {
      t.is(exitCode, 1);
      t.true([1, 5, 6, 7, 11, 102, 110, 111].includes(json.code ?? 0), JSON.stringify(json));
    }
  });
}

run('a node is switched over with its pods: what host-local gave out stays theirs', async (t) => {
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

run('8 processes with 250 ADDs each on a /22: every address once, no gap', async (t) => {
  t.timeout(300_000);
  const { base, plugin } = ipamFolder(t);
  const pod = await createNamespace('ipam-pod');
  t.teardown(pod.remove);
  const config = {
    cniVersion: '1.0.0',
    name: 'net',
    ipam: { subnet: '10.8.0.0/22', dataDir: base, lockWaitMs: 60_000 },
  };
  const answers: IpamAnswer[] = [];
  const worker = async (number: number): Promise<void> => {
    for (let index = 0; index < 250; index += 1) {
      answers.push(await callIpamPlugin(plugin, config, add(`w${number}-${index}`, { netns: pod.path })));
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, number) => worker(number)));
  const given = answers.flatMap(({ json }) => json.ips?.[0]?.address ?? []);
  // 1,024 without network, broadcast address and gateway.
  t.is(given.length, 1_021);
  t.is(new Set(given).size, 1_021);
  const refused = answers.filter(({ exitCode }) => exitCode !== 0);
  t.is(refused.length, 2_000 - 1_021);
  t.deepEqual([...new Set(refused.map(({ json }) => json.code))], [11]);
});

run('2,000 ADDs and DELs, ended at random by SIGKILL: the store is consistent', async (t) => {
  t.timeout(300_000);
  const { base, plugin } = ipamFolder(t);
  const pod = await createNamespace('ipam-pod');
  t.teardown(pod.remove);
  const config = { cniVersion: '1.0.0', name: 'net', ipam: { subnet: '10.8.0.0/25', dataDir: base } };
  const held = new Map<string, string>();
  let killed = 0;
  const worker = async (number: number): Promise<void> => {
    for (let index = 0; index < 250; index += 1) {
      const containerId = `w${number}-${index}`;
      const verbs = index % 3 === 0 ? ['ADD'] : ['ADD', 'DEL'];
      for (const verb of verbs) {
        const { exitCode, json } = await callIpamPlugin(
          plugin,
          config,
          { verb, containerId, netns: pod.path },
          (child) => {
            if (Math.random() < 0.5) {
              setTimeout(() => child.kill('SIGKILL'), 10 + Math.random() * 40);
            }
          },
        );
        killed += exitCode === null ? 1 : 0;
        const [ip] = json.ips ?? [];
        if (verb === 'ADD' && exitCode === 0 && ip !== undefined) {
          held.set(ip.address, containerId);
        } else if (verb === 'DEL' && (exitCode === 0 || exitCode === null)) {
          // Of one that was killed nobody knows how far it had come.
          for (const [address] of [...held].filter(([, owner]) => owner === containerId)) {
            held.delete(address);
          }
        }
      }
      // So many would not fit.
      for (const [address, owner] of [...held].slice(0, Math.max(0, held.size - 60))) {
        if ((await callIpamPlugin(plugin, config, del(owner))).exitCode === 0) {
          held.delete(address);
        }
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, number) => worker(number)));
  t.log(`${killed} were killed`);
  t.true(killed > 100);
  const folder = join(base, 'net');
  const files = readdirSync(folder).filter((name) => /^10\./.test(name));
  for (const name of files) {
    t.regex(readFileSync(join(folder, name), 'utf8'), /^w\d+-\d+\r\neth0$/, `${name} is whole`);
  }
  for (const [address, owner] of held) {
    const path = join(folder, address.replace('/25', ''));
    t.true(
      existsSync(path) && readFileSync(path, 'utf8').startsWith(`${owner}\r\n`),
      `${owner} has lost ${address}`,
    );
  }
  // What the killed ones have left belongs to attachments that a runtime would DEL.
  for (const name of files) {
    const [owner = ''] = readFileSync(join(folder, name), 'utf8').split('\r\n');
    t.is((await callIpamPlugin(plugin, config, del(owner))).exitCode, 0);
  }
  const all = await Promise.all(
    Array.from({ length: 125 }, (_, index) =>
      callIpamPlugin(plugin, config, add(`z${index}`, { netns: pod.path })),
    ),
  );
  t.is(new Set(all.flatMap(({ json }) => json.ips?.[0]?.address ?? [])).size, 125);
});

/** As long ago as an attachment that nobody is at work on. */
function age(folder: string): void {
  const past = new Date(Date.now() - 120_000);
  for (const name of readdirSync(folder).filter((one) => /^[0-9a-f]+[.:]/.test(one))) {
    utimesSync(join(folder, name), past, past);
  }
}

run(
  'a /24 with 253 attachments leaked: ADD number 254 succeeds, and takes nothing that is in use',
  async (t) => {
    t.timeout(120_000);
    const { base, plugin } = ipamFolder(t);
    const pod = await createNamespace('ipam-pod');
    t.teardown(pod.remove);
    await pod.ip('addr', 'add', '10.8.1.9/24', 'dev', 'lo');
    const cache = join(base, 'cni');
    mkdirSync(join(cache, 'results'), { recursive: true });
    const config = {
      cniVersion: '1.0.0',
      name: 'net',
      ipam: { subnet: '10.8.1.0/24', dataDir: base, cniCacheDir: cache },
    };
    const folder = join(base, 'net');
    mkdirSync(folder);
    for (let last = 2; last <= 254; last += 1) {
      writeFileSync(join(folder, `10.8.1.${last}`), `leaked-${last}\r\neth0`);
    }
    t.is((await callIpamPlugin(plugin, config, add('early'))).json.code, 11, 'none is old enough');
    age(folder);
    writeFileSync(join(cache, 'results/net-leaked-7-eth0'), '{}');
    const { exitCode, json } = await callIpamPlugin(plugin, config, add('late', { netns: pod.path }));
    t.is(exitCode, 0, json.msg);
    const left = readdirSync(folder).filter((name) => name.startsWith('10.'));
    t.deepEqual(
      left.sort(),
      [json.ips?.[0]?.address.replace('/24', ''), '10.8.1.7', '10.8.1.9'].sort(),
      'kept: known to the runtime, and present in a namespace',
    );
  },
);

run('an attachment whose namespace is there is in use, whatever else is said', async (t) => {
  const { base, plugin } = ipamFolder(t);
  const pod = await createNamespace('ipam-pod');
  const config = {
    cniVersion: '1.0.0',
    name: 'net',
    ipam: { subnet: '10.8.2.0/30', dataDir: base, cniCacheDir: base },
  };
  t.is((await callIpamPlugin(plugin, config, add('a', { netns: pod.path }))).exitCode, 0);
  age(join(base, 'net'));
  t.is((await callIpamPlugin(plugin, config, add('b'))).json.code, 11);
  await pod.remove();
  t.is((await callIpamPlugin(plugin, config, add('b'))).exitCode, 0);
});

run('nodePodCIDR: the same file on every node, dual stack included', async (t) => {
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

run('GC keeps what is listed, and refuses to guess', async (t) => {
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

run('the complete chain of the example: bridge, trapline-ipam, portmap, trapline', async (t) => {
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

run('a full disk: an error, no address given out, and nothing left', async (t) => {
  const { base, plugin } = ipamFolder(t);
  const disk = join(base, 'disk');
  mkdirSync(disk);
  await must({ file: '/bin/mount', args: ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk] });
  t.teardown(() => must({ file: '/bin/umount', args: [disk] }));
  const config = { cniVersion: '1.0.0', name: 'net', ipam: { subnet: '10.8.4.0/24', dataDir: disk } };
  t.is((await callIpamPlugin(plugin, config, add('a'))).json.ips?.[0]?.address, '10.8.4.2/24');
  const filler = join(disk, 'filler');
  t.throws(() => writeFileSync(filler, Buffer.alloc(1 << 20)), { code: 'ENOSPC' });
  const { exitCode, json } = await callIpamPlugin(plugin, config, add('b'));
  t.is(exitCode, 1);
  t.is(json.code, 5, json.msg);
  t.deepEqual(
    readdirSync(join(disk, 'net')).filter((name) => name.startsWith('10.')),
    ['10.8.4.2'],
  );
  t.is((await callIpamPlugin(plugin, config, del('a'))).exitCode, 0, 'what is given back needs no room');
  t.false(existsSync(join(disk, 'net/10.8.4.2')));
  rmSync(filler);
  const after = await callIpamPlugin(plugin, config, add('b'));
  t.is(after.exitCode, 0, after.json.msg);
  t.throws(() => writeFileSync(filler, Buffer.alloc(1 << 20)), { code: 'ENOSPC' });
  const nobody = { ...config, cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
  t.is((await callIpamPlugin(plugin, nobody, { verb: 'GC' })).exitCode, 0, 'nor does what is collected');
  t.deepEqual(
    readdirSync(join(disk, 'net')).filter((name) => name.startsWith('10.')),
    [],
  );
});
