import { join } from 'node:path';
import { readNodeCache } from '../../../../src/rundir/read.ts';
import { nodeOf } from '../../nodes/lab.ts';
import { podsManifest, servicesManifest } from '../../nodes/objects.ts';
import { attachPod, type LabPod } from '../../nodes/pod.ts';
import { STRETCH } from '../../nodes/probe.ts';
import { runIn, sleep, until } from '../../nodes/process.ts';
import { PODS, type PodSpec } from '../../nodes/topology.ts';
import { MARKER } from '../traffic.ts';
import { inStep, ledgerOf, PATIENCE_MS, runSender, type World } from '../world.ts';

/** Pods that come while the streams run. */

export const SERVER = 'controller-1';
export const CLIENT = 'worker-0';
/** Each row has an address of its own: neighbours remember where an address was for a while. */
export const late = (last: number): PodSpec => ({
  ...PODS.dns1,
  name: 'coredns-late',
  address: `172.16.166.${last}`,
});

/** Backs no service. */
export const other = (last: number): PodSpec => ({
  ...late(last),
  name: 'other',
  namespace: 'default',
  labels: {},
});

export async function announce({ lab }: World, pods: readonly PodSpec[]): Promise<void> {
  const backing = pods.filter(({ labels }) => Object.keys(labels).length > 0);
  await lab.cluster.put('services.yaml', servicesManifest(backing));
  await lab.cluster.put('pods.yaml', podsManifest(pods));
}

/** `beforeAdd`: what happens while the pod has its address, and Trapline has not been called yet. */
export const attach = async (
  { lab }: World,
  spec: PodSpec,
  beforeAdd?: () => Promise<void>,
): Promise<LabPod> =>
  await attachPod(
    nodeOf(lab, spec.node),
    spec,
    await lab.cluster.uidOf(spec.namespace, spec.name),
    beforeAdd === undefined ? {} : { beforeAdd },
  );

/** A stream from client2 to the late address for as long as the body runs. */
export async function withStream(
  world: World,
  {
    name,
    address,
    kind = 'udp',
  }: { readonly name: string; readonly address: string; readonly kind?: 'udp' | 'tcp' },
  body: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const stream = {
    name,
    kind,
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

export const answered = async (world: World, name: string, since: number): Promise<number> =>
  await until(`answers of ${name}`, PATIENCE_MS, async () => ledgerOf(world).answeredSince(name, since));

/** Waits until the cache of its node has the pod, and the agent there has nothing to do. */
export async function knows({ lab }: World, { name, node }: PodSpec): Promise<void> {
  const own = nodeOf(lab, node);
  await until(`${name} in the node cache`, 15_000 * STRETCH, async () => {
    const cache = readNodeCache(join(own.run, 'trapline'));
    return cache.kind === 'ok' && cache.value.pods.some((pod) => pod.name === name);
  });
  await inStep(own);
  // A step that has just begun holds the lock.
  await sleep(2_000);
}

/** As a pod's gratuitous ARP does it. */
export async function forgetNeighbour({ lab }: World, { address }: PodSpec): Promise<void> {
  await runIn(nodeOf(lab, SERVER).enter, ['/usr/sbin/ip', 'neigh', 'del', address, 'dev', 'cni0']);
}
