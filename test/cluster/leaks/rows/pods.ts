import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readNodeCache } from '../../../../src/cache/read.ts';
import { nodeOf } from '../../lab/lab.ts';
import { podsManifest, servicesManifest } from '../../lab/objects.ts';
import { attachPod, detachPod, type LabPod } from '../../lab/pod.ts';
import { STRETCH } from '../../lab/probe.ts';
import { mustIn, runIn, sleep, until } from '../../lab/process.ts';
import { PODS, type PodSpec } from '../../lab/topology.ts';
import type { Row } from '../table.ts';
import { MARKER } from '../traffic.ts';
import { inStep, ledgerOf, runSender, runServer, type World } from '../world.ts';

const SERVER = 'controller-1';
const CLIENT = 'worker-0';
/** Each row has an address of its own: neighbours remember where an address was for a while. */
const late = (last: number): PodSpec => ({
  ...PODS.dns1,
  name: 'coredns-late',
  address: `172.16.166.${last}`,
});

/** Backs no service. */
const other = (last: number): PodSpec => ({ ...late(last), name: 'other', namespace: 'default', labels: {} });

async function announce({ lab }: World, pods: readonly PodSpec[]): Promise<void> {
  const backing = pods.filter(({ labels }) => Object.keys(labels).length > 0);
  await lab.cluster.put('services.yaml', servicesManifest(backing));
  await lab.cluster.put('pods.yaml', podsManifest(pods));
}

const attach = async ({ lab }: World, spec: PodSpec): Promise<LabPod> =>
  await attachPod(nodeOf(lab, SERVER), spec, await lab.cluster.uidOf(spec.namespace, spec.name));

/** A stream from client2 to the late address for as long as the body runs. */
async function withStream(
  world: World,
  { name, address }: { readonly name: string; readonly address: string },
  body: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const stream = {
    name,
    kind: 'udp',
    address,
    port: 53,
    bytes: 100,
    everyMs: 100,
    marker: MARKER,
  } as const;
  const sender = runSender(world, 'client2', [stream]);
  try {
    return await body();
  } finally {
    await sender.stop('SIGKILL');
  }
}

const answered = async (world: World, name: string, since: number): Promise<number> =>
  await until(`answers of ${name}`, 20_000 * STRETCH, async () => ledgerOf(world).answeredSince(name, since));

/** Waits until the node cache of the server has the pod, and its agent has nothing to do. */
async function knows({ lab }: World, { name }: PodSpec): Promise<void> {
  const runDir = join(nodeOf(lab, SERVER).run, 'trapline');
  await until(`${name} in the node cache`, 15_000 * STRETCH, async () => {
    const cache = readNodeCache(runDir);
    return cache.kind === 'ok' && cache.value.pods.some((pod) => pod.name === name);
  });
  await inStep(nodeOf(lab, SERVER));
  // A step that has just begun holds the lock.
  await sleep(2_000);
}

/** As a pod's gratuitous ARP does it. */
async function forgetNeighbour({ lab }: World, { address }: PodSpec): Promise<void> {
  await runIn(nodeOf(lab, SERVER).enter, ['/usr/sbin/ip', 'neigh', 'del', address, 'dev', 'cni0']);
}

/** Rows 1 and 4: pods come and go. */
export const podRows: readonly Row[] = [
  {
    id: '1a',
    title: 'server pod starts while clients send to it already, and its agent stands still',
    event: async (world) =>
      await withStream(world, { name: 'start', address: late(150).address }, async () => {
        await announce(world, [late(150)]);
        await knows(world, late(150));
        const agent = nodeOf(world.lab, SERVER).agent;
        process.kill(agent?.pid ?? 0, 'SIGSTOP');
        try {
          const from = Date.now();
          const pod = await attach(world, late(150));
          const server = runServer(world, pod, ['udp/53']);
          const ms = await answered(world, 'start', from);
          process.kill(agent?.pid ?? 0, 'SIGCONT');
          await server.stop('SIGKILL');
          await detachPod(pod);
          await announce(world, []);
          return `answers ${(ms / 1_000).toFixed(1)} s after ADD began`;
        } finally {
          process.kill(agent?.pid ?? 0, 'SIGCONT');
        }
      }),
  },
  {
    id: '1b',
    title: "server pod starts, and the client's node hears of it 5 s later",
    async event(world) {
      const agent = nodeOf(world.lab, CLIENT).agent;
      process.kill(agent?.pid ?? 0, 'SIGSTOP');
      try {
        await announce(world, [late(151)]);
        await knows(world, late(151));
        const pod = await attach(world, late(151));
        const server = runServer(world, pod, ['udp/53']);
        const remark = await withStream(world, { name: 'unlisted', address: late(151).address }, async () => {
          const ms = await answered(world, 'unlisted', Date.now());
          await sleep(5_000);
          process.kill(agent?.pid ?? 0, 'SIGCONT');
          await sleep(2_000);
          return `answered all the while, first after ${(ms / 1_000).toFixed(1)} s`;
        });
        await server.stop('SIGKILL');
        await detachPod(pod);
        await announce(world, []);
        return remark;
      } finally {
        process.kill(agent?.pid ?? 0, 'SIGCONT');
      }
    },
  },
  {
    id: '1c',
    title: 'first packets: a flow between nodes without any SA',
    async event(world) {
      const from = Date.now();
      const specs = [
        {
          name: 'first-udp',
          kind: 'udp',
          address: PODS.dns1.address,
          port: 53,
          bytes: 100,
          everyMs: 200,
          marker: MARKER,
        },
        {
          name: 'first-tcp',
          kind: 'tcp',
          address: PODS.cert.address,
          port: 9402,
          bytes: 100,
          everyMs: 200,
          marker: MARKER,
        },
      ] as const;
      const sender = runSender(world, 'client0', specs);
      await sleep(5_000 + 500 * STRETCH);
      const to = Date.now() - 2_000;
      const lost = specs.map(({ name }) => ledgerOf(world).passage(name, from, to));
      await sender.stop('SIGKILL');
      if (lost.some((passage) => passage.lost > 0 || passage.sent === 0)) {
        throw new Error(`first packets lost: ${JSON.stringify(lost)}`);
      }
      return `0 lost of ${lost.reduce((sum, { sent }) => sum + sent, 0)} first ones`;
    },
  },
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
        await announce(world, [late(153)]);
        const first = await attach(world, late(153));
        const echo = runServer(world, first, ['udp/53']);
        await answered(world, 'taken', Date.now());
        await echo.stop('SIGKILL');
        const node = nodeOf(world.lab, SERVER);
        await mustIn(node.enter, ['/usr/sbin/ip', 'netns', 'del', late(153).name]);
        rmSync(join(node.run, 'ipam/pods', late(153).address), { force: true });
        // The slices still list the address.
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
];
