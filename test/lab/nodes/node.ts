import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ENTER_ROOT } from '../../helpers/charon/charon6.ts';
import { ROOT } from '../../helpers/unit/root.ts';
import { type Daemon, type Entrance, mustIn, runIn, startIn, until } from './process.ts';
import { CERT_IP, DNS_BACKEND, DNS_IP, NODES, type NodeSpec, PODS } from './topology.ts';

/** A node: a network namespace on the wire, with a mount namespace that gives it a /run of its own. */
export interface LabNode {
  readonly spec: NodeSpec;
  /** What the node sees as /run, from outside. */
  readonly run: string;
  readonly folder: string;
  readonly enter: Entrance;
  /** Where another charon than the system's is installed. */
  readonly charonRoot?: string | undefined;
  charon: Daemon | undefined;
  agent: Daemon | undefined;
  readonly holder: Daemon;
}

const IP = '/usr/sbin/ip';
const CHARON = '/usr/lib/ipsec/charon';
/** Of the node's own network, as the DaemonSet has it. */
export const METRICS = '127.0.0.1:9472';
const charonConf = (): string =>
  process.env.TRAPLINE_STRONGSWAN_CONF ?? join(ROOT, 'conf/strongswan/strongswan.conf');

/** An executable as `make build` leaves it, or one that stands in for it. */
export function executable(name: string): string {
  const path = join(process.env.TRAPLINE_DIST ?? join(ROOT, 'pkg/dist'), name);
  if (!existsSync(path)) {
    throw new Error(`${path} is missing: run make build`);
  }
  return path;
}

/** Makes the node and plugs it into the bridge of the wire. `ownRoutes`: its agent lays what the pod network needs, not the lab. */
export async function createNode(
  base: string,
  wire: string,
  spec: NodeSpec,
  ownRoutes = false,
): Promise<LabNode> {
  const folder = join(base, spec.name);
  const run = join(folder, 'run');
  mkdirSync(run, { recursive: true });
  const script =
    'mount --bind "$1" /run && mkdir -p /run/netns && echo ready > /run/ready && exec sleep infinity';
  const log = join(folder, 'holder.log');
  const flags = ['--net', '--mount', '--propagation', 'private'];
  const holder = startIn([], ['/usr/bin/unshare', ...flags, '/bin/sh', '-ec', script, 'sh', run], log);
  await until(`${spec.name}: namespaces`, 30_000, async () => existsSync(join(run, 'ready')));
  const enter = ['/usr/bin/nsenter', '--target', String(holder.pid), '--net', '--mount', '--'];
  const node: LabNode = { spec, run, folder, enter, holder, charon: undefined, agent: undefined };
  await plugIn(node, wire);
  for (const name of ['all', 'default']) {
    await mustIn(enter, ['/bin/sh', '-c', `echo 0 > /proc/sys/net/ipv4/conf/${name}/rp_filter`]);
  }
  if (!ownRoutes) {
    await routeAndForward(node);
  }
  await serviceAddresses(node);
  return node;
}

async function plugIn({ spec, holder, enter }: LabNode, wire: string): Promise<void> {
  const port = `p-${spec.name}`;
  await mustIn(
    [IP, '-n', wire],
    ['link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid)],
  );
  await mustIn([IP, '-n', wire], ['link', 'set', port, 'master', 'br0', 'up']);
  await mustIn(enter, [IP, 'link', 'set', 'lo', 'up']);
  await mustIn(enter, [IP, 'addr', 'add', `${spec.address}/24`, 'dev', 'eth0']);
  await mustIn(enter, [IP, 'addr', 'add', `${spec.address6}/64`, 'dev', 'eth0', 'nodad']);
  await mustIn(enter, [IP, 'link', 'set', 'eth0', 'up']);
}

/** What a pod network does for the node's pods. */
async function routeAndForward({ spec, enter }: LabNode): Promise<void> {
  for (const name of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) {
    await mustIn(enter, ['/bin/sh', '-c', `echo 1 > /proc/sys/${name}`]);
  }
  for (const peer of NODES.filter(({ name }) => name !== spec.name)) {
    await mustIn(enter, [IP, 'route', 'add', peer.podCidr, 'via', peer.address]);
    await mustIn(enter, [IP, '-6', 'route', 'add', peer.podCidr6, 'via', peer.address6]);
  }
}

/** What kube-proxy does in nftables mode: DNAT in prerouting. */
async function serviceAddresses({ spec, enter }: LabNode): Promise<void> {
  const dns = DNS_BACKEND[spec.name] ?? '';
  const rules = `table ip kube-proxy {
    chain services {
      type nat hook prerouting priority dstnat;
      ip daddr ${DNS_IP} meta l4proto { tcp, udp } dnat to ${dns}
      ip daddr ${CERT_IP} tcp dport 9402 dnat to ${PODS.cert.address}
    }
  }`;
  await mustIn(enter, ['/usr/sbin/nft', '-f', '-'], rules);
}

export async function startCharon(node: LabNode): Promise<void> {
  const socket = join(node.run, 'charon.vici');
  const root = node.charonRoot;
  const log = join(node.folder, 'charon.log');
  if (root === undefined) {
    const env = ['/usr/bin/env', `STRONGSWAN_CONF=${charonConf()}`];
    node.charon = startIn([...node.enter, ...env], [CHARON], log);
  } else {
    copyFileSync(charonConf(), join(node.run, 'strongswan.conf'));
    const env = ['/usr/bin/env', 'STRONGSWAN_CONF=/run/strongswan.conf'];
    const script = `${ENTER_ROOT}; exec chroot "$1" "$2"`;
    node.charon = startIn([...node.enter, ...env], ['/bin/sh', '-ec', script, 'sh', root, CHARON], log);
  }
  await until(
    `${node.spec.name}: charon's socket`,
    120_000,
    async () => existsSync(socket) && (await swanctl(node, '--version')).exitCode === 0,
  );
}

export interface AgentSettings {
  readonly cluster: { readonly agentArgs: (node: string) => readonly string[] };
  readonly childSaScope: string;
  /** More options of `trapline-agent run`. */
  readonly agentFlags?: readonly string[];
}

/** The node's agent stands still until what this returns is called; calling it again does nothing. */
export function holdAgent({ agent, spec }: LabNode): () => void {
  if (agent?.running() !== true) {
    throw new Error(`${spec.name}: no agent runs there`);
  }
  process.kill(agent.pid, 'SIGSTOP');
  return () => {
    if (agent.running()) {
      process.kill(agent.pid, 'SIGCONT');
    }
  };
}

/** `pki`: another folder of keys than the node's own. */
export function startAgent(
  node: LabNode,
  { cluster, childSaScope, agentFlags = [] }: AgentSettings,
  pki = join(node.folder, 'pki'),
): void {
  // Agents are as slow as everything else there.
  const pace = process.env.TRAPLINE_EMULATED === '1' ? ['--renewal-hold', '16'] : [];
  const args = [
    ...pace,
    '--node-name',
    node.spec.name,
    ...cluster.agentArgs(node.spec.name),
    '--pki-dir',
    pki,
    '--listen',
    METRICS,
  ];
  node.agent = startIn(
    node.enter,
    [executable('trapline-agent'), 'run', ...args, '--child-sa-scope', childSaScope, ...agentFlags],
    join(node.folder, 'agent.log'),
  );
}

/** swanctl against the node's charon. */
export function swanctl(node: LabNode, ...args: string[]): ReturnType<typeof runIn> {
  return runIn(withConf(node), ['/usr/sbin/swanctl', ...args]);
}

/** The same; throws if swanctl fails. */
export async function mustSwanctl(node: LabNode, ...args: string[]): Promise<void> {
  await mustIn(withConf(node), ['/usr/sbin/swanctl', ...args]);
}

const withConf = ({ enter }: LabNode): Entrance => [
  ...enter,
  '/usr/bin/env',
  `STRONGSWAN_CONF=${charonConf()}`,
];

export async function destroyNode(node: LabNode): Promise<void> {
  await node.agent?.stop('SIGKILL');
  await node.charon?.stop('SIGKILL');
  await node.holder.stop('SIGKILL');
}
