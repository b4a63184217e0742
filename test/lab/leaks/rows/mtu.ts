import { podOf } from '../../nodes/lab.ts';
import { mustIn, runIn, sleep } from '../../nodes/process.ts';
import { PODS, withAddress6 } from '../../nodes/topology.ts';
import type { Row } from '../table.ts';
import type { World } from '../world.ts';
import { flow } from './flow.ts';

const IP = '/usr/sbin/ip';
const NFT = '/usr/sbin/nft';
const BULK_BYTES = 1_000_000;

/** A bulk transfer there and back; what comes back must be all of it. */
async function bulk({ lab }: World): Promise<string> {
  const started = performance.now();
  const to = lab.dual ? `TCP6:[${withAddress6(PODS.dns1).address6}]` : `TCP4:${PODS.dns1.address}`;
  const script = `head -c ${BULK_BYTES} /dev/zero | socat -t 20 - ${to}:9153 | wc -c`;
  const { stdout } = await runIn(podOf(lab, 'client2').enter, ['/bin/sh', '-c', script]);
  if (Number(stdout.trim()) !== BULK_BYTES) {
    throw new Error(`${stdout.trim()} of ${BULK_BYTES} bytes came back`);
  }
  return `TCP ${BULK_BYTES / 1e6} MB there and back in ${((performance.now() - started) / 1_000).toFixed(1)} s`;
}

async function largeUdp(world: World, bytes: number): Promise<string> {
  const { sent, lost } = await flow(world, 'client2', { name: `udp-${bytes}`, bytes });
  // The first one that is too large for the link tells its sender of the path's MTU, and is lost.
  if (sent === 0 || lost > 1) {
    throw new Error(`UDP of ${bytes} bytes: ${lost} of ${sent} lost`);
  }
  return `UDP of ${bytes} bytes: ${lost} of ${sent} lost`;
}

async function setMtu({ lab }: World, mtu: number): Promise<void> {
  const value = String(mtu);
  const wire = [IP, '-n', lab.wire.namespace];
  for (const { spec, enter } of lab.nodes) {
    await mustIn(wire, ['link', 'set', `p-${spec.name}`, 'mtu', value]);
    await mustIn(enter, [IP, 'link', 'set', 'eth0', 'mtu', value]);
    const links = await mustIn(enter, [IP, '-o', 'link', 'show', 'master', 'cni0']);
    for (const [, link = ''] of links.matchAll(/^\d+: ([^@:]+)/gm)) {
      await mustIn(enter, [IP, 'link', 'set', link, 'mtu', value]);
    }
    await mustIn(enter, [IP, 'link', 'set', 'cni0', 'mtu', value]);
  }
  for (const { enter } of lab.pods.values()) {
    await mustIn(enter, [IP, 'link', 'set', 'eth0', 'mtu', value]);
  }
  await mustIn(wire, ['link', 'set', 'br0', 'mtu', value]);
}

/** Row 8: sizes. The stream of 3,000-byte datagrams runs in every row. */
export const mtuRows: readonly Row[] = [
  {
    id: '8a',
    title: 'bulk through the tunnel, link MTU 1500',
    event: async (world) =>
      [await bulk(world), await largeUdp(world, 1_472), await largeUdp(world, 8_000)].join(', '),
  },
  {
    id: '8b',
    title: 'bulk through the tunnel, link MTU 9000',
    async event(world) {
      await setMtu(world, 9_000);
      const remark = [await bulk(world), await largeUdp(world, 8_972), await largeUdp(world, 20_000)].join(
        ', ',
      );
      await setMtu(world, 1_500);
      return remark;
    },
  },
  {
    id: '8c',
    title: 'no conntrack rule in the nodes but our own: fragments are reassembled all the same',
    async event({ lab }) {
      const saved: string[] = [];
      for (const { enter } of lab.nodes) {
        saved.push(await mustIn(enter, [NFT, 'list', 'table', 'ip', 'kube-proxy']));
        await mustIn(enter, [NFT, 'delete', 'table', 'ip', 'kube-proxy']);
      }
      await sleep(8_000);
      for (const [index, { enter }] of lab.nodes.entries()) {
        await mustIn(enter, [NFT, '-f', '-'], saved[index]);
      }
      return undefined;
    },
  },
];
