import { nodeOf, podOf } from '../../nodes/lab.ts';
import { nodesManifest } from '../../nodes/objects.ts';
import { STRETCH, sasOf } from '../../nodes/probe.ts';
import { mustIn, runIn, sleep, until } from '../../nodes/process.ts';
import { NODES, PODS, withAddress6 } from '../../nodes/topology.ts';
import type { Row } from '../table.ts';
import { MARKER } from '../traffic.ts';
import type { World } from '../world.ts';
import { charonKilled } from './daemons.ts';
import { firstPacketRows } from './first-packets.ts';
import { mtuRows } from './mtu.ts';
import { overlayRows } from './overlay.ts';
import { saRows } from './sas.ts';
import { strangerRows } from './strangers.ts';

const NFT = '/usr/sbin/nft';
const SERVER = withAddress6(PODS.dns1).address6 ?? '';
const OTHER = withAddress6(PODS.dns0).address6 ?? '';

async function icmpErrors({ lab }: World): Promise<number> {
  const snmp = await mustIn(podOf(lab, 'client2').enter, ['/bin/cat', '/proc/net/snmp6']);
  const of = (name: string): number => Number(new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(snmp)?.[1] ?? 0);
  return of('Icmp6InDestUnreachs') + of('Icmp6InTimeExcds') + of('Icmp6InPktTooBigs');
}

async function datagram({ lab }: World, to: string, options = '', bytes = 200): Promise<void> {
  const text = `${MARKER} icmp6 1 `.repeat(Math.ceil(bytes / 20)).slice(0, bytes);
  const command = ['/usr/bin/socat', '-u', '-b', '2000', '-', `UDP6:[${to}]:53${options}`];
  await runIn(podOf(lab, 'client2').enter, command, text);
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

/** A row of another chapter, with IPv6. */
function sixth(id: string, of: string, rows: readonly Row[]): Row {
  const row = rows.find((one) => one.id === of);
  if (row === undefined) {
    throw new Error(`no row ${of}`);
  }
  return { ...row, id, title: `IPv6: ${row.title}` };
}

/** Row 11: dual stack; the streams use IPv6, in the tunnel between IPv4 addresses. */
export const sixRows: readonly Row[] = [
  {
    id: '11a',
    title: 'IPv6: the streams alone (UDP, fragments, TCP, ICMP echo)',
    lossless: true,
    async event() {
      await sleep(6_000);
      return undefined;
    },
  },
  {
    id: '11b',
    title: 'IPv6: charon of the server killed, started again',
    lossless: true,
    event: charonKilled('controller-1'),
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
  {
    id: '11e',
    title: "IPv6: packet too big at the server's node",
    event: provoking(async (world) => {
      const { enter } = nodeOf(world.lab, 'controller-1');
      const to = [`${SERVER}/128`, 'dev', 'cni0'];
      await mustIn(enter, ['/usr/sbin/ip', '-6', 'route', 'replace', ...to, 'mtu', 'lock', '1280']);
      await datagram(world, SERVER, '', 1_300);
      await mustIn(enter, ['/usr/sbin/ip', '-6', 'route', 'del', ...to]);
    }),
  },
  sixth('11f', '1c', firstPacketRows),
  sixth('11g', '6b', saRows),
  sixth('11h', '8a', mtuRows),
  sixth('11i', '8b', mtuRows),
  sixth('11j', '12b', overlayRows),
  {
    id: '11k',
    title: 'IPv6: the nodes lose their IPv4 addresses, tunnels go between the IPv6 ones',
    async event({ lab }) {
      const both = NODES.map((node) => ({ ...node, dual: true }));
      await lab.cluster.put('nodes.yaml', nodesManifest(both.map((node) => ({ ...node, sixOnly: true }))));
      await sleep(10_000);
      const hosts = new Set((await sasOf(nodeOf(lab, 'worker-0'))).map(({ src }) => src));
      await lab.cluster.put('nodes.yaml', nodesManifest(both));
      if (![...hosts].some((host) => host.includes(':'))) {
        throw new Error(`SAs of ${[...hosts].join(', ')}`);
      }
      return undefined;
    },
  },
  {
    id: '11n',
    title: "IPv6: fragments where others' conntrack rules reassemble them as well",
    lossless: true,
    async event({ lab }) {
      const rules = `table ip6 other {
  chain in {
    type filter hook prerouting priority 0
    ct state established accept
  }
}
`;
      for (const { enter } of lab.nodes) {
        await mustIn(enter, [NFT, '-f', '-'], rules);
      }
      await sleep(8_000);
      for (const { enter } of lab.nodes) {
        await mustIn(enter, [NFT, 'delete', 'table', 'ip6', 'other']);
      }
      return undefined;
    },
  },
];

/** With `nodeTraffic` and `strict`. */
export const sixStrangerRows: readonly Row[] = [
  sixth('11l', '9a', strangerRows),
  sixth('11m', '9c', strangerRows),
];
