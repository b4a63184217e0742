import { nodeOf, podOf } from '../../nodes/lab.ts';
import { STRETCH } from '../../nodes/probe.ts';
import { mustIn, runIn, sleep, until } from '../../nodes/process.ts';
import { PODS } from '../../nodes/topology.ts';
import type { Row } from '../table.ts';
import { MARKER } from '../traffic.ts';
import type { World } from '../world.ts';

const SOCAT = '/usr/bin/socat';

/** ICMP errors that a pod has received (IPv4). */
async function errorsAt(world: World, pod: 'client2' | 'dns0'): Promise<number> {
  const snmp = await mustIn(podOf(world.lab, pod).enter, ['/bin/cat', '/proc/net/snmp']);
  const [names = [], values = []] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Icmp:'))
    .map((line) => line.split(' '));
  const of = (name: string): number => Number(values[names.indexOf(name)]);
  return of('InDestUnreachs') + of('InTimeExcds');
}

/** The event must make an ICMP error arrive: otherwise the row says nothing. */
const provoking =
  (pod: 'client2' | 'dns0', provoke: (world: World) => Promise<void>) =>
  async (world: World): Promise<string> => {
    const before = await errorsAt(world, pod);
    // An error that would have to wait for its SA is dropped by the kernel, and brings that SA up.
    await until(`an ICMP error at ${pod}`, 5_000 * STRETCH, async () => {
      await provoke(world);
      await sleep(1_000);
      return (await errorsAt(world, pod)) > before;
    });
    const errors = (await errorsAt(world, pod)) - before;
    return `${errors} ICMP errors arrived at ${pod}`;
  };

/** From the server, as an answer that nobody waits for any more. */
async function answer({ lab, daemons }: World, options: string, bytes = 150): Promise<void> {
  await daemons.get('dns0')?.stop('SIGKILL');
  const to = `UDP:${PODS.client2.address}:40000,sourceport=53${options}`;
  const text = `${MARKER} late 1 `.repeat(Math.ceil(bytes / 20)).slice(0, bytes);
  await runIn(podOf(lab, 'dns0').enter, [SOCAT, '-u', '-b', '2000', '-', to], text);
}

async function datagram({ lab }: World, options: string, to: string, bytes = 200): Promise<void> {
  const text = `${MARKER} icmp 1 `.repeat(Math.ceil(bytes / 20)).slice(0, bytes);
  await runIn(podOf(lab, 'client2').enter, [SOCAT, '-u', '-b', '2000', '-', `UDP:${to}${options}`], text);
}

interface Way {
  readonly node: string;
  readonly address: string;
}

/** What goes to the pod must fit into 600 bytes behind its node. */
async function withNarrowWay(
  { lab }: World,
  { node, address }: Way,
  body: () => Promise<void>,
): Promise<void> {
  const { enter } = nodeOf(lab, node);
  const to = [`${address}/32`, 'dev', 'cni0'];
  await mustIn(enter, ['/usr/sbin/ip', 'route', 'replace', ...to, 'mtu', 'lock', '600']);
  await body();
  await mustIn(enter, ['/usr/sbin/ip', 'route', 'del', ...to]);
}

/** Row 7: ICMP errors quote what they are about. */
export const icmpRows: readonly Row[] = [
  {
    id: '7a',
    title: 'port unreachable from a protected pod (its server is gone)',
    event: provoking('client2', async (world) => {
      const { daemons } = world;
      await daemons.get('dns0')?.stop('SIGKILL');
      await datagram(world, '', `${PODS.dns0.address}:53`);
    }),
  },
  {
    id: '7b',
    title: 'port unreachable from a client, about an answer that comes too late',
    event: provoking('dns0', (world) => answer(world, '')),
  },
  {
    id: '7c',
    title: "time exceeded at the server's node, which has an address of its own",
    event: provoking('client2', (world) => datagram(world, ',ttl=2', `${PODS.dns1.address}:53`)),
  },
  {
    id: '7d',
    title: "fragmentation needed at the server's node",
    event: provoking('client2', (world) =>
      withNarrowWay(world, { node: 'controller-1', address: PODS.dns1.address }, () =>
        datagram(world, ',mtudiscover=2', `${PODS.dns1.address}:53`, 900),
      ),
    ),
  },
  {
    id: '7e',
    title: "time exceeded at the client's node, about an answer",
    event: provoking('dns0', (world) => answer(world, ',ttl=2')),
  },
  {
    id: '7f',
    title: "fragmentation needed at the client's node, about an answer",
    event: provoking('dns0', (world) =>
      withNarrowWay(world, { node: 'worker-0', address: PODS.client2.address }, () =>
        answer(world, ',mtudiscover=2', 900),
      ),
    ),
  },
];
