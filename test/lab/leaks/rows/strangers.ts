import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeOf } from '../../nodes/lab.ts';
import { type Entrance, mustIn, sleep } from '../../nodes/process.ts';
import { OPEN_PORT, PODS } from '../../nodes/topology.ts';
import { readCapture } from '../capture.ts';
import type { Row } from '../table.ts';
import { MARKER } from '../traffic.ts';
import type { World } from '../world.ts';
import { type FlowSpec, flow } from './flow.ts';
import { dropped, refusesSpoofed, routeToServer, wireOf } from './spoofed.ts';

const NODE_PORT = 30_053;
const ESP = 50;

interface Tally {
  readonly sent: number;
  readonly answered: number;
}

async function tally(world: World, enter: Entrance, spec: FlowSpec): Promise<Tally> {
  const { sent, lost } = await flow(world, enter, { marker: 'TRAPLINE-OTHER', ...spec });
  return { sent, answered: sent - lost };
}

function expect(holds: boolean, message: string): void {
  if (!holds) {
    throw new Error(message);
  }
}

/** Row 9: node addresses with `nodeTraffic`, everybody else with `strict`. */
export const strangerRows: readonly Row[] = [
  {
    id: '9a',
    title: 'nodeTraffic: a hostNetwork pod of another node is a client',
    async event(world) {
      const { enter } = nodeOf(world.lab, 'worker-0');
      const { sent, answered } = await tally(world, enter, { name: 'host', marker: MARKER });
      expect(answered > 0 && answered >= sent - 1, `${answered} of ${sent} answered`);
      return `${answered} of ${sent} answered`;
    },
  },
  {
    id: '9b',
    title: 'nodeTraffic: NodePort through another node, masqueraded',
    async event(world) {
      const { enter, spec } = nodeOf(world.lab, 'worker-0');
      // As kube-proxy does it, its mark included.
      const rules = `table ip nodeport {
        chain pre {
          type nat hook prerouting priority dstnat
          udp dport ${NODE_PORT} meta mark set meta mark | 0x4000 dnat to ${PODS.dns1.address}:53
        }
        chain post {
          type nat hook postrouting priority srcnat
          meta mark & 0x4000 != 0 masquerade
        }
      }
`;
      await mustIn(enter, ['/usr/sbin/nft', '-f', '-'], rules);
      const between = `host ${spec.address} and host ${PODS.dns1.address}`;
      const before = await world.lab.wire.count(between);
      const to = { address: spec.address, port: NODE_PORT };
      const { sent, answered } = await tally(world, wireOf(world), { name: 'nodeport', ...to });
      await mustIn(enter, ['/usr/sbin/nft', 'delete', 'table', 'ip', 'nodeport']);
      const clear = (await world.lab.wire.count(between)) - before;
      expect(answered > 0, `0 of ${sent} answered`);
      expect(clear === 0, `${clear} packets between the node and the pod in the clear`);
      return `${answered} of ${sent} answered`;
    },
  },
  {
    id: '9c',
    title: "strict: a stranger in nobody's pod CIDR",
    async event(world) {
      await routeToServer(world);
      const open = await tally(world, wireOf(world), { name: 'stranger-open', port: OPEN_PORT });
      expect(open.answered > 0, 'the stranger reaches nobody at all');
      const { sent, answered } = await tally(world, wireOf(world), { name: 'stranger' });
      expect(sent > 0 && answered === 0, `${answered} of ${sent} answered`);
      return `${open.answered} of ${open.sent} answered at an open port, ${answered} of ${sent} at the protected one`;
    },
  },
  {
    id: '9d',
    title: 'a spoofed pod address without ESP',
    event: (world) => refusesSpoofed(world, PODS.dns1.address),
  },
  {
    id: '9e',
    title: 'an ESP packet replayed',
    async event(world) {
      const { lab } = world;
      const addresses = Buffer.from([192, 168, 206, 66, 192, 168, 206, 3]);
      const frames = readCapture(lab.wire.pcap).filter(
        ({ bytes }) =>
          bytes[23] === ESP &&
          bytes.subarray(26, 34).equals(addresses) &&
          bytes.readUInt16BE(16) + 14 === bytes.length,
      );
      const frame = frames.at(-10)?.bytes;
      expect(frame !== undefined, 'no ESP packet in the capture');
      const file = join(lab.base, 'replay');
      writeFileSync(file, frame ?? '');
      const before = await dropped(world, 'XfrmInStateSeqError');
      await mustIn(wireOf(world), ['/usr/bin/socat', '-u', '-b', '2000', `OPEN:${file}`, 'INTERFACE:br0']);
      await sleep(1_000);
      const count = (await dropped(world, 'XfrmInStateSeqError')) - before;
      expect(count > 0, 'the kernel has dropped nothing');
      return `dropped (XfrmInStateSeqError ${count})`;
    },
  },
];
