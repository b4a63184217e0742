import { nodeOf, podOf } from '../../lab/lab.ts';
import { startCharon } from '../../lab/node.ts';
import { STRETCH } from '../../lab/probe.ts';
import { mustIn, sleep, until } from '../../lab/process.ts';
import { PODS, withAddress6 } from '../../lab/topology.ts';
import type { Row } from '../table.ts';
import { MARKER } from '../traffic.ts';
import type { World } from '../world.ts';

const SERVER = withAddress6(PODS.dns1).address6 ?? '';
const OTHER = withAddress6(PODS.dns0).address6 ?? '';

async function icmpErrors({ lab }: World): Promise<number> {
  const snmp = await mustIn(podOf(lab, 'client2').enter, ['/bin/cat', '/proc/net/snmp6']);
  const of = (name: string): number => Number(new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(snmp)?.[1] ?? 0);
  return of('Icmp6InDestUnreachs') + of('Icmp6InTimeExcds') + of('Icmp6InPktTooBigs');
}

async function datagram({ lab }: World, to: string, options = ''): Promise<void> {
  const text = `${MARKER} icmp6 1 `.repeat(10);
  await mustIn(podOf(lab, 'client2').enter, ['/usr/bin/socat', '-u', '-', `UDP6:[${to}]:53${options}`], text);
}

const provoking =
  (provoke: (world: World) => Promise<void>) =>
  async (world: World): Promise<string> => {
    const before = await icmpErrors(world);
    await until('an ICMPv6 error at client2', 5_000 * STRETCH, async () => {
      await provoke(world);
      await sleep(1_000);
      return (await icmpErrors(world)) > before;
    });
    const errors = (await icmpErrors(world)) - before;
    return `${errors} ICMPv6 errors arrived`;
  };

/** Row 11: dual stack; the streams use IPv6, in the tunnel between IPv4 addresses. */
export const sixRows: readonly Row[] = [
  {
    id: '11a',
    title: 'IPv6: the streams alone (UDP, fragments, TCP)',
    lossless: true,
    async event() {
      await sleep(6_000);
      return undefined;
    },
  },
  {
    id: '11b',
    title: 'IPv6: charon of the server killed, started again',
    async event({ lab }) {
      const node = nodeOf(lab, 'controller-1');
      await node.charon?.stop('SIGKILL');
      await sleep(1_000);
      await startCharon(node);
      return undefined;
    },
  },
  {
    id: '11c',
    title: 'IPv6: port unreachable from a protected pod (its server is gone)',
    event: provoking(async (world) => {
      await world.daemons.get('dns0')?.stop('SIGKILL');
      await datagram(world, OTHER);
    }),
  },
  {
    id: '11d',
    title: "IPv6: time exceeded at the server's node, which has an address of its own",
    event: provoking((world) => datagram(world, SERVER, ',setsockopt-int=41:16:2')),
  },
];
