import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { nodeOf } from '../../nodes/lab.ts';
import type { LabNode } from '../../nodes/node.ts';
import { podsManifest } from '../../nodes/objects.ts';
import { collect, detachPod } from '../../nodes/pod.ts';
import { policiesOf } from '../../nodes/probe.ts';
import { mustIn, sleep } from '../../nodes/process.ts';
import type { Row } from '../table.ts';
import { runServer, type World } from '../world.ts';
import { announce, answered, attach, forgetNeighbour, late, other, SERVER, withStream } from './late.ts';

/** A protected pod serves `stream`, and is gone without a DEL; the slices still list it. Its node. */
async function loseWithoutDel(world: World, host: number, stream: string): Promise<LabNode> {
  const pod = late(host);
  const node = nodeOf(world.lab, SERVER);
  await announce(world, [pod]);
  const first = await attach(world, pod);
  const echo = runServer(world, first, ['udp/53']);
  await answered(world, stream, Date.now());
  await echo.stop('SIGKILL');
  await mustIn(node.enter, ['/usr/sbin/ip', 'netns', 'del', pod.name]);
  rmSync(join(node.run, 'ipam/pods', pod.address), { force: true });
  return node;
}

/** Row 4: addresses that are used again. */
export const reuseRows: readonly Row[] = [
  {
    id: '4a',
    title: 'protected pod deleted, its address reused at once by another protected pod',
    event: async (world) =>
      await withStream(world, { name: 'reused', address: late(152).address }, async () => {
        await announce(world, [late(152)]);
        const first = await attach(world, late(152));
        const echo = runServer(world, first, ['udp/53']);
        await answered(world, 'reused', Date.now());
        await echo.stop('SIGKILL');
        await detachPod(first);
        const next = { ...late(152), name: 'coredns-next' };
        await announce(world, [next]);
        await forgetNeighbour(world, next);
        const second = await attach(world, next);
        const again = runServer(world, second, ['udp/53']);
        await answered(world, 'reused', Date.now());
        await again.stop('SIGKILL');
        await detachPod(second);
        await announce(world, []);
        return undefined;
      }),
  },
  {
    id: '4b',
    title: 'its address reused at once by a pod that is not protected; DEL of the first never came',
    event: async (world) =>
      await withStream(world, { name: 'taken', address: late(153).address }, async () => {
        await loseWithoutDel(world, 153, 'taken');
        await world.lab.cluster.put('pods.yaml', podsManifest([other(153)]));
        await sleep(2_000);
        await forgetNeighbour(world, other(153));
        const second = await attach(world, other(153));
        await announce(world, [other(153)]);
        await sleep(5_000);
        await detachPod(second);
        await announce(world, []);
        return undefined;
      }),
  },
  {
    id: '4c',
    title: 'protected pod gone without DEL, then GC; its address used again by a pod that is not protected',
    event: async (world) =>
      await withStream(world, { name: 'collected', address: late(154).address }, async () => {
        const node = await loseWithoutDel(world, 154, 'collected');
        await announce(world, []);
        const of = async (): Promise<number> =>
          (await policiesOf(node)).filter(({ selector: { src, dst } }) =>
            [src, dst].includes(`${late(154).address}/32`),
          ).length;
        const before = await of();
        await collect(
          node,
          [...world.lab.pods.values()].filter((pod) => pod.node === node),
        );
        const after = await of();
        if (before === 0 || after > 0) {
          throw new Error(`${before} policies of the pod before GC, ${after} after it`);
        }
        await announce(world, [other(154)]);
        await forgetNeighbour(world, other(154));
        const second = await attach(world, other(154));
        await sleep(5_000);
        await detachPod(second);
        await announce(world, []);
        return `${before} policies collected`;
      }),
  },
];
