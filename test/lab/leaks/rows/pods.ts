import { nodeOf } from '../../nodes/lab.ts';
import { holdAgent } from '../../nodes/node.ts';
import { detachPod } from '../../nodes/pod.ts';
import { mustIn, sleep, until } from '../../nodes/process.ts';
import type { Row } from '../table.ts';
import { PATIENCE_MS, runServer, type World } from '../world.ts';
import { announce, answered, attach, CLIENT, knows, late, SERVER, withStream } from './late.ts';
import { refusesSpoofed } from './spoofed.ts';

/** Waits until the pod's kernel has refused connections through a few more seconds. Resolves to how many. */
async function refuses({ lab }: World, pod: string): Promise<number> {
  const enter = [...nodeOf(lab, SERVER).enter, '/usr/bin/nsenter', `--net=/run/netns/${pod}`, '--'];
  const resets = async (): Promise<number> => {
    const snmp = await mustIn(enter, ['/bin/cat', '/proc/net/snmp']);
    const [names, values] = [...snmp.matchAll(/^Tcp: (.*)$/gm)].map(([, line = '']) => line.split(' '));
    return Number(values?.[names?.indexOf('OutRsts') ?? -1]);
  };
  const before = await resets();
  await until(`${pod} refuses connections`, PATIENCE_MS, async () => (await resets()) > before);
  await sleep(2_000);
  return (await resets()) - before;
}

/** Row 1: pods start. */
export const podRows: readonly Row[] = [
  {
    id: '1a',
    title: 'server pod starts while clients send to it already, and its agent stands still',
    event: async (world) =>
      await withStream(world, { name: 'start', address: late(150).address }, async () => {
        await announce(world, [late(150)]);
        await knows(world, late(150));
        const goOn = holdAgent(nodeOf(world.lab, SERVER));
        try {
          const from = Date.now();
          const pod = await attach(world, late(150));
          const server = runServer(world, pod, ['udp/53']);
          const ms = await answered(world, 'start', from);
          goOn();
          await server.stop('SIGKILL');
          await detachPod(pod);
          await announce(world, []);
          return `answers ${(ms / 1_000).toFixed(1)} s after ADD began`;
        } finally {
          goOn();
        }
      }),
  },
  {
    id: '1b',
    title: "server pod starts, and the client's node hears of it 5 s later",
    async event(world) {
      const goOn = holdAgent(nodeOf(world.lab, CLIENT));
      try {
        await announce(world, [late(151)]);
        await knows(world, late(151));
        const pod = await attach(world, late(151));
        const server = runServer(world, pod, ['udp/53']);
        const remark = await withStream(world, { name: 'unlisted', address: late(151).address }, async () => {
          const ms = await answered(world, 'unlisted', Date.now());
          await sleep(5_000);
          goOn();
          await sleep(2_000);
          return `answered all the while, first after ${(ms / 1_000).toFixed(1)} s`;
        });
        await server.stop('SIGKILL');
        await detachPod(pod);
        await announce(world, []);
        return remark;
      } finally {
        goOn();
      }
    },
  },
  {
    id: '1d',
    title:
      'TCP to a server pod that has its address before ADD comes to Trapline, and after DEL has been there',
    event: async (world) =>
      await withStream(world, { name: 'early', address: late(155).address, kind: 'tcp' }, async () => {
        const spec = late(155);
        let resets = 0;
        const refused = async (): Promise<void> => {
          resets += await refuses(world, spec.name);
        };
        await announce(world, [spec]);
        await knows(world, spec);
        const pod = await attach(world, spec, refused);
        await detachPod(pod, refused);
        await announce(world, []);
        return `${resets} connections refused by the pod's kernel`;
      }),
  },
  {
    id: '1e',
    title:
      'a spoofed pod address without ESP, at a server pod that has just started, and its agent stands still',
    async event(world) {
      const spec = late(156);
      await announce(world, [spec]);
      await knows(world, spec);
      const goOn = holdAgent(nodeOf(world.lab, SERVER));
      try {
        const pod = await attach(world, spec);
        const remark = await refusesSpoofed(world, spec.address);
        goOn();
        await detachPod(pod);
        await announce(world, []);
        return remark;
      } finally {
        goOn();
      }
    },
  },
];
