import { nodeOf, podOf } from '../../lab/lab.ts';
import { STRETCH } from '../../lab/probe.ts';
import { mustIn, runIn, sleep, until } from '../../lab/process.ts';
import { PODS } from '../../lab/topology.ts';
import type { Row } from '../table.ts';
import { MARKER } from '../traffic.ts';
import type { World } from '../world.ts';

const SOCAT = '/usr/bin/socat';

/** ICMP messages that a pod has received (`InMsgs`, IPv4). */
async function received(world: World, pod: 'client2' | 'dns0'): Promise<number> {
  const snmp = await mustIn(podOf(world.lab, pod).enter, ['/bin/cat', '/proc/net/snmp']);
  const [names = [], values = []] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Icmp:'))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('InMsgs')]);
}

/** The event must make an ICMP error arrive: otherwise the row says nothing. */
const provoking =
  (pod: 'client2' | 'dns0', provoke: (world: World) => Promise<void>) =>
  async (world: World): Promise<string> => {
    const before = await received(world, pod);
    // An error that would have to wait for its SA is dropped by the kernel, and brings that SA up.
    await until(`an ICMP error at ${pod}`, 5_000 * STRETCH, async () => {
      await provoke(world);
      await sleep(1_000);
      return (await received(world, pod)) > before;
    });
    const errors = (await received(world, pod)) - before;
    return `${errors} ICMP errors arrived at ${pod}`;
  };

async function datagram({ lab }: World, options: string, to: string, bytes = 200): Promise<void> {
  const text = `${MARKER} icmp 1 `.repeat(Math.ceil(bytes / 20)).slice(0, bytes);
  await runIn(podOf(lab, 'client2').enter, [SOCAT, '-u', '-b', '2000', '-', `UDP:${to}${options}`], text);
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
    event: provoking('dns0', async ({ lab, daemons }) => {
      await daemons.get('dns0')?.stop('SIGKILL');
      const to = `UDP:${PODS.client2.address}:40000,sourceport=53`;
      await mustIn(podOf(lab, 'dns0').enter, [SOCAT, '-u', '-', to], `${MARKER} late 1 `.repeat(8));
    }),
  },
  {
    id: '7c',
    title: "time exceeded at the server's node, which has an address of its own",
    event: provoking('client2', (world) => datagram(world, ',ttl=2', `${PODS.dns1.address}:53`)),
  },
  {
    id: '7d',
    title: "fragmentation needed at the server's node",
    event: provoking('client2', async (world) => {
      const node = nodeOf(world.lab, 'controller-1');
      const route = ['/usr/sbin/ip', 'route'];
      const to = [`${PODS.dns1.address}/32`, 'dev', 'cni0'];
      await mustIn(node.enter, [...route, 'replace', ...to, 'mtu', 'lock', '600']);
      await datagram(world, ',mtudiscover=2', `${PODS.dns1.address}:53`, 900);
      await mustIn(node.enter, [...route, 'del', ...to]);
    }),
  },
];
