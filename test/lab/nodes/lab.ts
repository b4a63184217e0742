import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directoryCluster, kubernetesCluster, type LabCluster } from './cluster.ts';
import { createNode, destroyNode, executable, type LabNode, startAgent, startCharon } from './node.ts';
import { nodesManifest, podsManifest, servicesManifest } from './objects.ts';
import { attachPod, type LabPod } from './pod.ts';
import { type Daemon, mustIn, startIn } from './process.ts';
import { NODES, OPEN_PORT, PODS, withAddress6 } from './topology.ts';
import { createWire, type Wire } from './wire.ts';

export type PodName = keyof typeof PODS;

/** Three nodes with charon and agent, on one wire. */
export interface Lab {
  readonly base: string;
  readonly cluster: LabCluster;
  readonly childSaScope: string;
  readonly wire: Wire;
  readonly nodes: LabNode[];
  agentFlags: readonly string[];
  /** IPv6 beside IPv4. */
  dual: boolean;
  readonly pods: Map<PodName, LabPod>;
  readonly servers: Daemon[];
}

export async function createLab(
  childSaScope: string,
  source: LabCluster['kind'],
  { charonRoot, ownRoutes = false }: { readonly charonRoot?: string; readonly ownRoutes?: boolean } = {},
): Promise<Lab> {
  const base = mkdtempSync(join(tmpdir(), 'trapline-lab-'));
  const wire = await createWire(base);
  const nodes: LabNode[] = [];
  for (const spec of NODES) {
    nodes.push({ ...(await createNode(base, wire.namespace, spec, ownRoutes)), charonRoot });
  }
  const cluster = source === 'directory' ? directoryCluster(base) : await kubernetesCluster(base, wire);
  return {
    base,
    cluster,
    childSaScope,
    wire,
    nodes,
    agentFlags: ownRoutes ? ['--routes'] : [],
    dual: false,
    pods: new Map(),
    servers: [],
  };
}

/** `trapline-agent pki init` and `issue` for every node; with an API server the agents ask for their own. */
export async function issueCertificates({ base, cluster, nodes }: Lab): Promise<void> {
  if (cluster.kind === 'kubernetes') {
    return;
  }
  const agent = executable('trapline-agent');
  const ca = join(base, 'ca');
  await mustIn([], [agent, 'pki', 'init', '--dir', ca]);
  for (const { spec, folder } of nodes) {
    await mustIn([], [agent, 'pki', 'issue', '--dir', ca, '--node', spec.name, '--out', join(folder, 'pki')]);
  }
}

export async function startDaemons(lab: Lab): Promise<void> {
  const { cluster } = lab;
  await cluster.put('nodes.yaml', nodesManifest(NODES.map((node) => ({ ...node, dual: lab.dual }))));
  await cluster.put('services.yaml', servicesManifest([], undefined, lab.dual));
  await cluster.put('pods.yaml', podsManifest());
  await Promise.all(lab.nodes.map(startCharon));
  for (const node of lab.nodes) {
    startAgent(node, lab);
  }
}

export function nodeOf(lab: Lab, name: string): LabNode {
  const node = lab.nodes.find(({ spec }) => spec.name === name);
  if (node === undefined) {
    throw new Error(`no node ${name}`);
  }
  return node;
}

export function podOf(lab: Lab, name: PodName): LabPod {
  const pod = lab.pods.get(name);
  if (pod === undefined) {
    throw new Error(`pod ${name} is not attached`);
  }
  return pod;
}

/** The pods of a node, or of all nodes. */
export async function attachAll(lab: Lab, node?: string): Promise<void> {
  for (const [name, spec] of Object.entries(PODS)) {
    if (node === undefined || spec.node === node) {
      const uid = await lab.cluster.uidOf(spec.namespace, spec.name);
      const pod = lab.dual ? withAddress6(spec) : spec;
      lab.pods.set(name as PodName, await attachPod(nodeOf(lab, spec.node), pod, uid));
    }
  }
}

/** A real DNS server in the DNS pods, and TCP servers. */
export function startServers(lab: Lab): void {
  const tcp = (name: PodName, port: number): void => {
    const listen = `TCP-LISTEN:${port},fork,reuseaddr`;
    start(lab, name, ['/usr/bin/socat', listen, 'SYSTEM:echo trapline']);
  };
  for (const name of ['dns0', 'dns1'] as const) {
    const options = [
      '--no-daemon',
      '--no-resolv',
      '--no-hosts',
      '--user=root',
      '--pid-file=',
      '--conf-file=/dev/null',
    ];
    start(lab, name, ['/usr/sbin/dnsmasq', ...options, '--host-record=kubernetes.default,10.96.0.1']);
    tcp(name, 9153);
    tcp(name, OPEN_PORT);
  }
  tcp('cert', 9402);
}

function start(lab: Lab, name: PodName, argv: readonly string[]): void {
  const pod = podOf(lab, name);
  lab.servers.push(startIn(pod.enter, argv, join(pod.node.folder, `${pod.spec.name}.log`)));
}

export async function destroyLab(lab: Lab): Promise<void> {
  for (const server of lab.servers) {
    await server.stop('SIGKILL');
  }
  for (const node of lab.nodes) {
    await destroyNode(node);
  }
  await lab.cluster.destroy();
  await lab.wire.destroy();
  rmSync(lab.base, { recursive: true, force: true });
}
