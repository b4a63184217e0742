import { planAttachment } from '../../src/ipsec/plan.ts';
import type { XfrmPolicy } from '../../src/ipsec/types.ts';
import { applyOperations } from '../../src/ipsec/xfrm/apply.ts';
import type { Command } from '../../src/run/types.ts';
import { keepThresholds } from '../../src/watcher/hash-thresholds.ts';
import { createNamespace, IP, must, type Namespace } from '../helpers/netns.ts';
import { benchCache } from './cases.ts';
import type { Row } from './report.ts';
import { median, medianRatio } from './statistics.ts';

/** What packets that nobody protects cost on a node with many policies: forwarded between two others, as fast as it goes. */

const IPERF = '/usr/bin/iperf3';
const PEERS = 1_000;
const ROUNDS = 10;
const SECONDS = 2;
/** Each pod of the service has some 8,000 policies at 1,000 peers. */
const NODES = [
  { pods: 0, least: undefined },
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
  const iproute2 = { run: node.run, ip: IP };
  const cache = benchCache(PEERS);
  const policies = Array.from({ length: pods }, (_, pod): XfrmPolicy[] =>
    planAttachment(cache, {
      pod: { namespace: 'kube-system', name: `pod-${pod}`, uid: `uid-${pod}` },
      addresses: [`10.0.0.${pod + 2}`],
    }),
  ).flat();
  if (pods > 0) {
    await keepThresholds(iproute2, { runDir: `${folder}/${node.name}`, cache });
    await applyOperations(
      iproute2,
      policies.map((policy) => ({ op: 'add', policy })),
    );
  }
  const remove = async (): Promise<void> => {
    for (const namespace of [from, node, to]) {
      await namespace.remove();
    }
  };
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
    const [bare = []] = rates;
    return ways.map(({ policies, least }, index) => {
      const name = `forwarding, unprotected, ${policies.toLocaleString('en')} policies`;
      const own = rates[index] ?? [];
      return {
        what: name,
        median: median(own),
        ...(least === undefined
          ? {}
          : { against: 'the same without policies', ratio: medianRatio(own, bare), least }),
      };
    });
  } finally {
    for (const way of ways) {
      await way.remove();
    }
  }
}
