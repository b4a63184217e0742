import { nodeOf, type PodName } from '../../nodes/lab.ts';
import { holdAgent } from '../../nodes/node.ts';
import { detachPod } from '../../nodes/pod.ts';
import type { Entrance } from '../../nodes/process.ts';
import { DNS_IP, PODS, type PodSpec } from '../../nodes/topology.ts';
import type { Row } from '../table.ts';
import type { World } from '../world.ts';
import { type FlowSpec, flows } from './flow.ts';
import { announce, attach, knows, late } from './late.ts';

const to = (name: string, address: string, more: Partial<FlowSpec> = {}): FlowSpec => ({
  name,
  address,
  ...more,
});

/** As a resolver asks: what is sent once the tunnel is up would have conntrack remember what waited for it. */
const SELDOM = { everyMs: 2_000 };

/** Streams begin, and none of their messages is lost. */
async function noneLost(world: World, from: PodName | Entrance, specs: readonly FlowSpec[]): Promise<string> {
  const counted = await flows(world, from, specs, 5_000);
  if (counted.some(({ lost, sent }) => lost > 0 || sent === 0)) {
    throw new Error(`first packets lost: ${JSON.stringify(counted)}`);
  }
  return `0 lost of ${counted.reduce((sum, { sent }) => sum + sent, 0)} first ones`;
}

/** A pod starts and sends at once; ADD alone has protected it. */
const startsSending =
  (spec: PodSpec, specs: readonly FlowSpec[]) =>
  async (world: World): Promise<string> => {
    await announce(world, [spec]);
    await knows(world, spec);
    const goOn = holdAgent(nodeOf(world.lab, spec.node));
    try {
      const pod = await attach(world, spec);
      const remark = await noneLost(world, pod.enter, specs);
      goOn();
      await detachPod(pod);
      await announce(world, []);
      return remark;
    } finally {
      goOn();
    }
  };

/** Row 1, what is sent first. */
export const firstPacketRows: readonly Row[] = [
  {
    id: '1c',
    title: 'first packets: flows between nodes without any SA, one of them to a ClusterIP',
    event: (world) =>
      noneLost(world, 'client0', [
        to('first-udp', PODS.dns1.address, SELDOM),
        to('first-service', DNS_IP, SELDOM),
        to('first-tcp', PODS.cert.address, { kind: 'tcp', port: 9402 }),
      ]),
  },
  {
    id: '1f',
    title: 'client pod starts and sends from its first instruction, and its agent stands still',
    event: startsSending({ ...PODS.client2, name: 'client-late', address: '172.16.43.30' }, [
      to('client-udp', PODS.dns0.address),
      to('client-service', DNS_IP),
      to('client-tcp', PODS.dns1.address, { kind: 'tcp', port: 53 }),
    ]),
  },
  {
    id: '1g',
    title: 'server pod starts and sends from its first instruction, and its agent stands still',
    event: startsSending(late(157), [
      to('server-icmp', PODS.client2.address, { kind: 'icmp', port: 0 }),
      to('server-udp', PODS.dns0.address),
    ]),
  },
];
