import { keepThresholds } from '../../src/agent/host/hash-thresholds.ts';
import type { Command } from '../../src/exec/types.ts';
import { planPolicies } from '../../src/ipsec/plan/plan.ts';
import { applyOperations } from '../../src/ipsec/xfrm/write/apply.ts';
import { createNamespace, IP, must, type Namespace } from '../helpers/netns/netns.ts';
import { largeNode } from './cases.ts';
import type { Row } from './report.ts';
import { median, medianRatio } from './statistics.ts';

/** What packets that nobody protects cost on a node with many policies: forwarded between two others, as fast as it goes. */

const IPERF = '/usr/bin/iperf3';
const ROUNDS = 10;
const SECONDS = 2;
/** What kube-proxy leaves on every node: connection tracking and address translation. */
const NODE_RULES = `table ip node {
  chain forward { type filter hook forward priority filter; ct state established accept; }
  chain services { type nat hook prerouting priority dstnat; ip daddr 10.96.0.10 udp dport 53 dnat to 10.1.0.9; }
}`;
/** A policy that no packet here meets, whoever laid it. */
const UNRELATED = 'src 192.0.2.1 dst 192.0.2.2 dir out action allow';

/** With so many protected pods on the node, and the least rate that is wanted, against none of it. */
const NODES = [
  { pods: undefined, least: undefined },
  { pods: 'unrelated', least: undefined },
  { pods: 1, least: 0.98 },
  { pods: 12, least: 0.9 },
] as const;

interface Way {
  readonly policies: number;
  readonly least: number | undefined;
  readonly from: Namespace;
  readonly to: Namespace;
  readonly remove: () => Promise<void>;
}

/** An unprotected pod's address, and one in a peer's pod CIDR. */
const [POD, REMOTE] = ['10.0.0.200', '10.1.0.200'];

async function createWay(folder: string, { pods, least }: (typeof NODES)[number]): Promise<Way> {
  const [from, node, to] = [
    await createNamespace('fwd-a'),
    await createNamespace('fwd-n'),
    await createNamespace('fwd-b'),
  ];
  for (const [side, name, address, gateway] of [
    [from, 'pod', POD, '10.0.0.1'],
    [to, 'wire', REMOTE, '10.1.0.1'],
  ] as const) {
    await node.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', side.name);
    await node.ip('addr', 'add', `${gateway}/24`, 'dev', name);
    await node.ip('link', 'set', name, 'up');
    await side.ip('addr', 'add', `${address}/24`, 'dev', 'eth0');
    await side.ip('link', 'set', 'eth0', 'up');
    await side.ip('route', 'add', 'default', 'via', gateway);
  }
  await must({ file: '/bin/sh', args: ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'] }, node.run);
  await must({ file: '/usr/sbin/nft', args: ['-f', '-'], input: NODE_RULES }, node.run);
  const remove = async (): Promise<void> => {
    for (const namespace of [from, node, to]) {
      await namespace.remove();
    }
  };
  if (typeof pods !== 'number') {
    const lines = pods === undefined ? [] : [UNRELATED, UNRELATED.replace('dir out', 'dir fwd')];
    for (const line of lines) {
      await node.ip('xfrm', 'policy', 'add', ...line.split(' '));
    }
    return { policies: lines.length, least, from, to, remove };
  }
  const iproute2 = { run: node.run, ip: IP };
  const { cache, attachments } = largeNode(pods);
  const policies = planPolicies(cache, attachments);
  await keepThresholds(iproute2, { runDir: `${folder}/${node.name}`, cache });
  await applyOperations(
    iproute2,
    policies.map((policy) => ({ op: 'add', policy })),
  );
  return { policies: policies.length, least, from, to, remove };
}

/** Datagrams of 64 bytes that arrive in a second. */
async function rate({ from, to }: Way): Promise<number> {
  const server: Command = { file: IPERF, args: ['-s', '-1', '-p', '5999'], timeoutMs: 60_000 };
  const serving = to.run(server);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const flags = ['-u', '-b', '0', '-l', '64', '-t', String(SECONDS), '-J', '-p', '5999'];
  const { stdout } = await must({ file: IPERF, args: ['-c', REMOTE, ...flags], timeoutMs: 60_000 }, from.run);
  await serving;
  const { end } = JSON.parse(stdout) as {
    end: { sum: { packets: number; lost_packets: number; seconds: number } };
  };
  return (end.sum.packets - end.sum.lost_packets) / end.sum.seconds;
}

export async function forwarding(folder: string): Promise<Row[]> {
  const ways: Way[] = [];
  try {
    for (const node of NODES) {
      ways.push(await createWay(folder, node));
    }
    const rates = ways.map((): number[] => []);
    for (let round = -1; round < ROUNDS; round += 1) {
      // Another order each time: what runs first is not always the same.
      for (const index of ways.map((_, at) => (at + round + ways.length) % ways.length)) {
        const way = ways[index];
        const value = way === undefined ? 0 : await rate(way);
        if (round >= 0) {
          rates[index]?.push(value / 1_000);
        }
      }
    }
    const [bare = [], unrelated = []] = rates;
    return ways.flatMap(({ policies, least }, index): Row[] => {
      const own = rates[index] ?? [];
      const what = `forwarding, unprotected, ${index === 1 ? '2 unrelated' : policies.toLocaleString('en')} policies`;
      const row = { what, median: median(own) };
      const against = { against: 'the same without policies', ratio: medianRatio(own, bare) };
      if (least === undefined) {
        return [index === 0 ? row : { ...row, ...against }];
      }
      return [
        { ...row, ...against, least },
        { ...row, against: 'the same with 2 unrelated policies', ratio: medianRatio(own, unrelated) },
      ];
    });
  } finally {
    for (const way of ways) {
      await way.remove();
    }
  }
}
