import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ChainResult,
  type Conflist,
  chainAdd,
  chainDel,
  type ExecPlugin,
  podArgs,
} from '../../helpers/unit/cni.ts';
import { ROOT } from '../../helpers/unit/root.ts';
import { executable, type LabNode } from './node.ts';
import { type Entrance, mustIn, runIn } from './process.ts';
import type { PodSpec } from './topology.ts';

/** A pod: a network namespace attached by the chain, as a runtime does it. */
export interface LabPod {
  readonly spec: PodSpec;
  readonly uid: string;
  readonly node: LabNode;
  readonly enter: Entrance;
  /** What it was attached by. */
  readonly conflist: Conflist;
  readonly result: ChainResult;
  readonly addMs: number;
}

const CONFLIST = join(ROOT, 'conf/examples/10-trapline.conflist');

/** The example's chain, with the node's own pod CIDR and an IPAM folder that goes with the node. */
function conflistOf(node: LabNode, spec: PodSpec): Conflist {
  const text = readFileSync(CONFLIST, 'utf8').replace('172.16.43.0/26', node.spec.podCidr);
  const conflist = JSON.parse(text) as Conflist;
  const plugins = conflist.plugins.map((plugin) =>
    plugin.type === 'bridge' ? { ...plugin, ...addressing(node, spec, plugin.ipam as Ipam) } : plugin,
  );
  return { ...conflist, plugins };
}

interface Ipam {
  readonly ranges: readonly object[];
  readonly routes: readonly object[];
}

function addressing({ spec: { podCidr6 } }: LabNode, { address, address6 }: PodSpec, ipam: Ipam): object {
  const dataDir = '/run/ipam';
  return address6 === undefined
    ? { ipam: { ...ipam, dataDir } }
    : {
        ipam: {
          ...ipam,
          dataDir,
          ranges: [...ipam.ranges, [{ subnet: podCidr6 }]],
          routes: [...ipam.routes, { dst: '::/0' }],
        },
        args: { cni: { ips: [address, address6] } },
      };
}

/** What happens in a chain just before Trapline's ADD, or just after its DEL. */
type Meanwhile = () => Promise<void>;

function execOn(
  node: LabNode,
  { beforeAdd, afterDel }: { beforeAdd?: Meanwhile; afterDel?: Meanwhile } = {},
): ExecPlugin {
  return async (type, env, stdin) => {
    const ours = type === 'trapline' ? env.CNI_COMMAND : undefined;
    if (ours === 'ADD') {
      await beforeAdd?.();
    }
    const path = type === 'trapline' ? executable('trapline') : `/usr/lib/cni/${type}`;
    const pairs = Object.entries(env).map(([key, value]) => `${key}=${value}`);
    const output = await runIn([...node.enter, '/usr/bin/env', '-i', ...pairs], [path], stdin);
    if (ours === 'DEL') {
      await afterDel?.();
    }
    return output;
  };
}

function targetOf(spec: PodSpec, uid: string): Parameters<typeof chainAdd>[2] {
  const containerId = `c-${spec.name}`;
  const args = podArgs(spec.namespace, spec.name, uid, containerId);
  // host-local takes the address that the seed shows.
  return {
    containerId,
    netns: `/run/netns/${spec.name}`,
    ifName: 'eth0',
    args: spec.address6 === undefined ? `${args};IP=${spec.address}` : args,
  };
}

interface Attaching {
  readonly beforeAdd?: Meanwhile;
  /** By the chain without Trapline. */
  readonly unprotected?: boolean;
}

export async function attachPod(
  node: LabNode,
  spec: PodSpec,
  uid: string,
  { beforeAdd, unprotected = false }: Attaching = {},
): Promise<LabPod> {
  await mustIn(node.enter, ['/usr/sbin/ip', 'netns', 'add', spec.name]);
  // As runtimes do, by the loopback plugin.
  await mustIn(node.enter, ['/usr/sbin/ip', '-n', spec.name, 'link', 'set', 'lo', 'up']);
  const whole = conflistOf(node, spec);
  const plugins = whole.plugins.filter(({ type }) => !unprotected || type !== 'trapline');
  const conflist = { ...whole, plugins };
  const exec = execOn(node, beforeAdd === undefined ? {} : { beforeAdd });
  const started = performance.now();
  const result = await chainAdd(exec, conflist, targetOf(spec, uid));
  const addMs = performance.now() - started;
  const enter = [...node.enter, '/usr/bin/nsenter', `--net=/run/netns/${spec.name}`, '--'];
  return { spec, uid, node, enter, conflist, result, addMs };
}

export async function detachPod(
  { spec, uid, node, conflist, result }: LabPod,
  afterDel: Meanwhile = async () => undefined,
): Promise<void> {
  await chainDel(execOn(node, { afterDel }), conflist, targetOf(spec, uid), result);
  await mustIn(node.enter, ['/usr/sbin/ip', 'netns', 'del', spec.name]);
}

/** GC of the node's `trapline`: the attachments of these pods are valid, no others. */
export async function collect(node: LabNode, valid: readonly LabPod[]): Promise<void> {
  const { name, plugins } = JSON.parse(readFileSync(CONFLIST, 'utf8')) as Conflist;
  const attachments = valid.map(({ spec }) => ({ containerID: `c-${spec.name}`, ifname: 'eth0' }));
  const config = {
    ...plugins.find(({ type }) => type === 'trapline'),
    // Versions before have no GC.
    cniVersion: '1.1.0',
    name,
    'cni.dev/valid-attachments': attachments,
  };
  const env = { CNI_COMMAND: 'GC', CNI_PATH: '/usr/lib/cni' };
  const { exitCode, stdout } = await execOn(node)('trapline', env, JSON.stringify(config));
  if (exitCode !== 0) {
    throw new Error(`trapline GC: ${stdout}`);
  }
}
