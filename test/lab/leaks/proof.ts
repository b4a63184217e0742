import { nodeOf, type PodName } from '../nodes/lab.ts';
import { attachPod, detachPod } from '../nodes/pod.ts';
import { STRETCH } from '../nodes/probe.ts';
import { until } from '../nodes/process.ts';
import { PODS, withAddress6 } from '../nodes/topology.ts';
import { unseen } from './plaintext.ts';
import type { World } from './world.ts';

const LIMIT_MS = 20_000 * STRETCH;

/** Pods between which the streams run. */
const ENDS: readonly PodName[] = ['dns1', 'cert', 'client1', 'client2'];

/**
 * Before there is any agent, the same streams between the same pods must all be seen in the clear, by what counts packets in the rows.
 * `start`: what is in a pod. Throws with the streams that the capture does not show.
 */
export async function proveFilter({ lab, daemons }: World, start: (pod: PodName) => void): Promise<void> {
  const from = Date.now();
  for (const name of ENDS) {
    const spec = lab.dual ? withAddress6(PODS[name]) : PODS[name];
    lab.pods.set(name, await attachPod(nodeOf(lab, spec.node), spec, 'none', { unprotected: true }));
    start(name);
  }
  let missing: string[] = [];
  await until('every stream seen while nothing protects it', LIMIT_MS, async () => {
    missing = await unseen(lab, { from, to: Date.now() });
    return missing.length === 0;
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${missing.join(', ')}`);
  });
  for (const daemon of daemons.values()) {
    await daemon.stop('SIGKILL');
  }
  daemons.clear();
  for (const pod of lab.pods.values()) {
    await detachPod(pod);
  }
  lab.pods.clear();
}
