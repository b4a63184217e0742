import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { add, callIpamPlugin, del, type IpamAnswer, ipamFolder } from '../helpers/netns/ipam.ts';
import { ipamTest } from '../helpers/netns/ipam-test.ts';
import { createNamespace, must } from '../helpers/netns/netns.ts';

ipamTest('8 processes with 250 ADDs each on a /22: every address once, no gap', async (t) => {
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

ipamTest('2,000 ADDs and DELs, ended at random by SIGKILL: the store is consistent', async (t) => {
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

ipamTest(
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

ipamTest('an attachment whose namespace is there is in use, whatever else is said', async (t) => {
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

ipamTest('a full disk: an error, no address given out, and nothing left', async (t) => {
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
