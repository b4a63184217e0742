import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../helpers/unit/root.ts';
import {
  attachAll,
  createLab,
  destroyLab,
  type Lab,
  nodeOf,
  type PodName,
  podOf,
  startDaemons,
} from '../nodes/lab.ts';
import { createNode, destroyNode, type LabNode, startAgent, startCharon } from '../nodes/node.ts';
import type { LabPod } from '../nodes/pod.ts';
import { lagOf, STRETCH } from '../nodes/probe.ts';
import { type Daemon, type Entrance, sleep, startIn, until } from '../nodes/process.ts';
import { OPEN_PORT, PODS, withAddress6 } from '../nodes/topology.ts';
import { certify } from './certificates.ts';
import { type Ledger, readLedger } from './ledger.ts';
import { proveFilter } from './proof.ts';
import { CONTROL, MARKER, type StreamSpec } from './traffic.ts';

/** Three nodes with streams between their pods. */
export interface World {
  readonly lab: Lab;
  /** Streams that a row waits for. */
  readonly streams: string[];
  /** Sender or server, by pod. */
  readonly daemons: Map<string, Daemon>;
  readonly logs: string[];
}

const MUTATING = process.argv.some((word) => word.startsWith('--mutate'));
const script = (name: string): string => join(ROOT, 'build/test/lab/leaks', name);
const stream = (
  name: string,
  more: Partial<StreamSpec> & Pick<StreamSpec, 'address' | 'port'>,
): StreamSpec => ({
  name,
  kind: 'udp',
  bytes: 100,
  everyMs: 200,
  marker: MARKER,
  ...more,
});

/** From worker-0 to controller-1, and from there to worker-0. */
const SENDERS: Readonly<Partial<Record<PodName, readonly StreamSpec[]>>> = {
  client2: [
    stream('udp', { address: PODS.dns1.address, port: 53, everyMs: 100 }),
    stream('large', { address: PODS.dns1.address, port: 53, bytes: 3_000, everyMs: 500 }),
    stream('tcp', { kind: 'tcp', address: PODS.dns1.address, port: 53 }),
    stream('icmp', { kind: 'icmp', address: PODS.dns1.address, port: 0 }),
    stream('control', { address: PODS.dns1.address, port: OPEN_PORT, everyMs: 500, marker: CONTROL }),
  ],
  client1: [stream('back', { kind: 'tcp', address: PODS.cert.address, port: 9402, everyMs: 300 })],
};
const SERVERS: Readonly<Partial<Record<PodName, readonly string[]>>> = {
  dns0: ['udp/53', 'tcp/53'],
  dns1: ['udp/53', 'tcp/53', 'tcp/9153', `udp/${OPEN_PORT}`, 'udp/5353', 'tcp/5353'],
  cert: ['tcp/9402'],
};

export interface WorldOptions {
  readonly source?: 'directory' | 'kubernetes';
  readonly policy?: string;
  readonly agentFlags?: readonly string[];
  /** The streams use IPv6. */
  readonly dual?: boolean;
}

/** Leaves nothing behind if it throws. */
export async function createWorld(options: WorldOptions): Promise<World> {
  const lab = await createLab('service', options.source ?? 'directory');
  try {
    return await furnish(lab, options);
  } catch (error) {
    await destroyLab(lab);
    throw error;
  }
}

async function furnish(lab: Lab, { policy, agentFlags = [], dual = false }: WorldOptions): Promise<World> {
  lab.agentFlags = agentFlags;
  lab.dual = dual;
  const world: World = { lab, streams: [], daemons: new Map(), logs: [] };
  // What a mutation's row does not see counts against the mutation.
  if (!MUTATING) {
    await proveFilter(world, (pod) => start(world, pod));
  }
  await certify(lab);
  if (policy !== undefined) {
    await lab.cluster.applyPolicy(policy);
  }
  await startDaemons(lab);
  for (const node of lab.nodes) {
    await inStep(node, policy === undefined ? 0 : 2);
  }
  await attachAll(lab);
  for (const name of Object.keys(PODS)) {
    start(world, name as PodName);
  }
  world.streams.push('udp', 'large', 'tcp', 'icmp', 'back', 'control');
  return world;
}

export async function destroyWorld({ lab, daemons }: World): Promise<void> {
  for (const daemon of daemons.values()) {
    await daemon.stop('SIGKILL');
  }
  await destroyLab(lab);
}

export async function inStep(node: LabNode, entries = 2): Promise<void> {
  let lag = '';
  await until(`${node.spec.name}: in step`, 15_000 * STRETCH, async () => {
    lag = lagOf(node, entries);
    return lag === '';
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${lag}`);
  });
}

/** A server in a pod; what it says goes to `<pod>.out`. */
export function runServer({ lab }: World, pod: LabPod, ports: readonly string[]): Daemon {
  const argv = [process.execPath, script('echo.js'), ...ports];
  return startIn(pod.enter, argv, outputOf(lab, pod.spec.name));
}

export function outputOf({ base }: Lab, pod: string): string {
  return join(base, `${pod}.out`);
}

/** Sends from a pod, or from the node that the entrance leads to. */
export function runSender(world: World, from: PodName | Entrance, specs: readonly StreamSpec[]): Daemon {
  const { lab, logs } = world;
  const six = new Map(
    Object.values(PODS).map((spec) => [spec.address as string, withAddress6(spec).address6 ?? '']),
  );
  const addressed = lab.dual
    ? specs.map((spec) => ({ ...spec, address: six.get(spec.address) ?? spec.address }))
    : specs;
  const log = join(lab.base, `${logs.length}.ledger`);
  logs.push(log);
  const argv = [process.execPath, script('send.js'), log, JSON.stringify(addressed)];
  const enter = typeof from === 'string' ? podOf(lab, from).enter : from;
  return startIn(enter, argv, join(lab.base, 'senders.out'));
}

/** What is in the pod: its server, its sender. */
export function start(world: World, pod: PodName): void {
  const [server, sender] = [SERVERS[pod], SENDERS[pod]];
  if (server !== undefined) {
    world.daemons.set(pod, runServer(world, podOf(world.lab, pod), server));
  }
  if (sender !== undefined) {
    world.daemons.set(pod, runSender(world, pod, sender));
  }
}

export function ledgerOf({ logs }: World): Ledger {
  return readLedger(logs);
}

/** How long rows wait for answers. Without its mechanism a row is expected to fail: nobody waits as long for that. */
export const PATIENCE_MS = (MUTATING ? 12_000 : 20_000) * STRETCH;

/** Waits until every stream gets answers to what it sends from now on. Resolves to the time that took. */
export async function recovered(world: World, limitMs = PATIENCE_MS): Promise<number> {
  const since = Date.now();
  let missing: string[] = [];
  return await until('traffic', limitMs, async () => {
    await sleep(200);
    const ledger = ledgerOf(world);
    missing = world.streams.filter((name) => !ledger.answeredSince(name, since));
    return missing.length === 0;
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${missing.join(', ')}`);
  });
}

/** The node goes and comes back: its namespaces, /run, policies and SAs are new. */
export async function rebootNode(world: World, name: string): Promise<void> {
  const { lab, daemons } = world;
  const pods = Object.entries(PODS).filter(([, { node }]) => node === name);
  for (const [pod] of pods) {
    await daemons.get(pod)?.stop('SIGKILL');
  }
  const old = nodeOf(lab, name);
  await destroyNode(old);
  rmSync(old.run, { recursive: true });
  const node = await createNode(lab.base, lab.wire.namespace, old.spec);
  lab.nodes[lab.nodes.indexOf(old)] = node;
  await startCharon(node);
  startAgent(node, lab);
  await inStep(node);
  await attachAll(lab, name);
  for (const [pod] of pods) {
    start(world, pod as PodName);
  }
}
