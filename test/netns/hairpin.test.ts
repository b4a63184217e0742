import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { listPolicies } from '../../src/ipsec/xfrm/kernel.ts';
import { createNamespace, IP, must, type Namespace } from '../helpers/netns/netns.ts';
import { netnsTest } from '../helpers/netns/netns-test.ts';

const NFT = '/usr/sbin/nft';
const INSIDE = join(import.meta.dirname, '../helpers/netns/hairpin-inside.ts');
const PEER = ['10.2.0.0/24', 'fd00:2::/64'];

const keep = async ({ run }: Namespace, podCidrs: readonly string[]): Promise<void> =>
  void (await must({ file: process.execPath, args: [INSIDE, ...podCidrs] }, run));

const nft = async ({ run }: Namespace, ...args: string[]): Promise<string> =>
  (await must({ file: NFT, args }, run)).stdout;

async function state(namespace: Namespace): Promise<string> {
  const parts = [
    await nft(namespace, 'list', 'ruleset'),
    await namespace.ip('-o', 'link'),
    await namespace.ip('rule'),
    await namespace.ip('-6', 'rule'),
    await namespace.ip('xfrm', 'policy'),
  ];
  // The pair's other names and states settle by themselves.
  return parts.join('').replaceAll(/state \S+|LOWER_UP|NO-CARRIER/g, '');
}

netnsTest('hairpin: laid, found in step, changed, put back, removed', async (t, node) => {
  const before = await state(node);
  await keep(node, PEER);
  const laid = await state(node);
  t.regex(laid, /pods6/);
  t.regex(await node.ip('-6', 'route', 'show', 'table', '77'), /default dev trapline0/);
  await keep(node, PEER);
  t.is(await state(node), laid);
  t.is(
    (await listPolicies({ run: node.run, ip: IP })).length,
    1,
    'the policy that lets IPv6 into the pair is read',
  );

  await keep(node, ['10.3.0.0/24']);
  t.regex(await nft(node, 'list', 'ruleset'), /10\.3\.0\.0/);
  t.notRegex(await nft(node, 'list', 'ruleset'), /10\.2\.0\.0/);

  await nft(node, 'flush', 'chain', 'inet', 'trapline', 'hairpin');
  await node.ip('link', 'del', 'trapline0');
  await keep(node, ['10.3.0.0/24']);
  t.regex(await nft(node, 'list', 'ruleset'), /ct status dnat/);
  t.regex(await node.ip('route', 'show', 'table', '77'), /default dev trapline0/);

  await keep(node, PEER);
  await keep(node, []);
  t.is(await state(node), before);
  await keep(node, []);
});

/** The addresses of one family: client, gateway, node, peer, the peer's pod and the service that leads to it. */
interface Addresses {
  readonly family: 'ip' | 'ip6';
  readonly any: string;
  readonly bits: number;
  readonly client: string;
  readonly gateway: string;
  readonly node: string;
  readonly peer: string;
  readonly podCidr: string;
  readonly pod: string;
  readonly service: string;
}

const V4: Addresses = {
  family: 'ip',
  any: '0.0.0.0/0',
  bits: 24,
  client: '10.1.0.5',
  gateway: '10.1.0.1',
  node: '192.0.2.1',
  peer: '192.0.2.2',
  podCidr: '10.2.0.0/24',
  pod: '10.2.0.9',
  service: '10.96.0.10',
};
const V6: Addresses = {
  family: 'ip6',
  any: '::/0',
  bits: 64,
  client: 'fd00:1::5',
  gateway: 'fd00:1::1',
  node: '2001:db8::1',
  peer: '2001:db8::2',
  podCidr: 'fd00:2::/64',
  pod: 'fd00:2::9',
  service: 'fd00:96::10',
};

/** A node with a client pod, and a service address that DNAT leads to a pod of a peer. */
async function nodeWithClient(t: ExecutionContext, node: Namespace, of: Addresses): Promise<Namespace> {
  const [pod, wire] = [await createNamespace('pod'), await createNamespace('wire')];
  t.teardown(pod.remove);
  t.teardown(wire.remove);
  const settings = [
    'net/ipv4/ip_forward=1',
    'net/ipv4/conf/all/rp_filter=1',
    'net/ipv6/conf/all/forwarding=1',
  ].map((setting) => `echo ${setting.split('=')[1]} > /proc/sys/${setting.split('=')[0]}`);
  await must({ file: '/bin/sh', args: ['-ec', settings.join('\n')] }, node.run);
  const nodad = of.family === 'ip6' ? ['nodad'] : [];
  await node.ip('link', 'add', 'pod', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.name);
  await node.ip('addr', 'add', `${of.gateway}/${of.bits}`, 'dev', 'pod', ...nodad);
  await node.ip('link', 'set', 'pod', 'up');
  await node.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', wire.name);
  await node.ip('addr', 'add', `${of.node}/${of.bits}`, 'dev', 'wire', ...nodad);
  await node.ip('link', 'set', 'wire', 'up');
  await wire.ip('link', 'set', 'wire', 'up');
  await node.ip('route', 'add', of.podCidr, 'via', of.peer);
  await node.ip('neigh', 'add', of.peer, 'lladdr', '02:00:00:00:00:02', 'dev', 'wire');
  await pod.ip('addr', 'add', `${of.client}/${of.bits}`, 'dev', 'eth0', ...nodad);
  await pod.ip('link', 'set', 'eth0', 'up');
  await pod.ip('route', 'add', 'default', 'via', of.gateway);
  const dnat = `table ${of.family} proxy {
    chain services {
      type nat hook prerouting priority dstnat;
      ${of.family} daddr ${of.service} dnat to ${of.pod}
    }
    chain leaving {
      type filter hook postrouting priority 0;
      oifname "trapline0" udp dport { 53, 54 } counter
      oifname "wire" udp dport { 53, 54 } counter
    }
  }`;
  await must({ file: NFT, args: ['-f', '-'], input: dnat }, node.run);
  return pod;
}

async function send(pod: Namespace, address: string, port: number): Promise<void> {
  const target = address.includes(':') ? `UDP6:[${address}]:${port}` : `UDP4:${address}:${port}`;
  await must({ file: '/usr/bin/socat', args: ['-u', 'SYSTEM:echo', target] }, pod.run);
}

/** Datagrams that went into the pair, and that left the node. */
async function counts(node: Namespace): Promise<{ pair: number; wire: number }> {
  const [pair, wire] = [...(await nft(node, 'list', 'ruleset')).matchAll(/packets (\d+)/g)].map(
    ([, packets]) => packets,
  );
  return { pair: Number(pair), wire: Number(wire) };
}

for (const network of [V4, V6]) {
  const title = `hairpin, ${network.family}`;

  netnsTest(
    `${title}: what DNAT sent to a protected port goes through once, then its way`,
    async (t, node) => {
      const pod = await nodeWithClient(t, node, network);
      await keep(node, PEER);
      await send(pod, network.service, 53);
      t.deepEqual(
        await counts(node),
        { pair: 1, wire: 1 },
        'though reverse paths are checked strictly elsewhere',
      );
      await send(pod, network.service, 54);
      t.deepEqual(await counts(node), { pair: 1, wire: 2 }, 'a port that is not protected');
      await send(pod, network.pod, 53);
      t.deepEqual(await counts(node), { pair: 1, wire: 3 }, 'no DNAT');
    },
  );

  netnsTest(`${title}: XFRM lets a packet into the pair and looks at it behind`, async (t, node) => {
    const pod = await nodeWithClient(t, node, network);
    const policy = ['dir', 'out', 'src', network.any, 'dst', network.podCidr, 'proto', 'udp', 'dport', '53'];
    await node.ip('xfrm', 'policy', 'add', ...policy, 'priority', '1100', 'action', 'block');
    await keep(node, PEER);
    await send(pod, network.service, 53);
    t.deepEqual(await counts(node), { pair: 1, wire: 0 });
  });

  netnsTest(`${title}: without the routing rule nothing passes XFRM by`, async (t, node) => {
    const pod = await nodeWithClient(t, node, network);
    const policy = ['dir', 'out', 'src', network.any, 'dst', network.podCidr, 'proto', 'udp', 'dport', '53'];
    await node.ip('xfrm', 'policy', 'add', ...policy, 'priority', '1100', 'action', 'block');
    await keep(node, PEER);
    await node.ip(network.family === 'ip6' ? '-6' : '-4', 'rule', 'del', 'pref', '77');
    await send(pod, network.service, 53);
    t.deepEqual(await counts(node), { pair: 0, wire: 0 });
  });
}
