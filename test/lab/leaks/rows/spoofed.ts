import { nodeOf } from '../../nodes/lab.ts';
import { type Entrance, mustIn, sleep } from '../../nodes/process.ts';
import { PODS } from '../../nodes/topology.ts';
import type { World } from '../world.ts';

const IP = '/usr/sbin/ip';
const SERVER = 'controller-1';

export const wireOf = ({ lab }: World): Entrance => [IP, 'netns', 'exec', lab.wire.namespace];

/** The wire itself reaches the server's pods, as a stranger. */
export async function routeToServer(world: World): Promise<void> {
  const { address, address6, podCidr, podCidr6 } = nodeOf(world.lab, SERVER).spec;
  if (world.lab.dual) {
    await mustIn(wireOf(world), [IP, 'addr', 'replace', 'fd00:206::fe/64', 'dev', 'br0', 'nodad']);
  }
  const route = world.lab.dual ? [podCidr6, 'via', address6] : [podCidr, 'via', address];
  await mustIn(wireOf(world), [IP, 'route', 'replace', ...route]);
}

/** Packets that the server's node has dropped for a reason of XFRM. */
export async function dropped({ lab }: World, counter: string): Promise<number> {
  const text = await mustIn(nodeOf(lab, SERVER).enter, ['/bin/cat', '/proc/net/xfrm_stat']);
  return Number(new RegExp(`^${counter}\\s+(\\d+)`, 'm').exec(text)?.[1]);
}

/** A datagram to port 53 without ESP, with the address of a pod of another node. The server's node must drop it. */
export async function refusesSpoofed(world: World, address: string): Promise<string> {
  const spoofed = `${PODS.client2.address}/32`;
  const before = await dropped(world, 'XfrmInTmplMismatch');
  await routeToServer(world);
  await mustIn(wireOf(world), [IP, 'addr', 'add', spoofed, 'dev', 'br0']);
  const datagram = ['/usr/bin/socat', '-u', '-', `UDP:${address}:53,bind=${PODS.client2.address}`];
  await mustIn(wireOf(world), datagram, 'spoofed');
  await mustIn(wireOf(world), [IP, 'addr', 'del', spoofed, 'dev', 'br0']);
  await sleep(1_000);
  const count = (await dropped(world, 'XfrmInTmplMismatch')) - before;
  if (count === 0) {
    throw new Error('the kernel has dropped nothing');
  }
  return `dropped (XfrmInTmplMismatch ${count})`;
}
