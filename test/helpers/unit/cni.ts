/** Runs a CNI chain as libcni does: the result of one plugin is the prevResult of the next, DEL goes backwards with the cached result. */

export interface PluginOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr?: string;
}

/** Starts the plugin `type` in the node's namespaces. */
export type ExecPlugin = (
  type: string,
  env: Readonly<Record<string, string>>,
  stdin: string,
) => Promise<PluginOutput>;

export interface Conflist {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly { readonly type: string; readonly [key: string]: unknown }[];
}

export interface ChainTarget {
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
  /** CNI_ARGS */
  readonly args: string;
}

export type ChainResult = Readonly<Record<string, unknown>>;

export class ChainError extends Error {
  override readonly name = 'ChainError';
}

/** The arguments that containerd gives for a pod. */
export function podArgs(namespace: string, name: string, uid: string, sandbox: string): string {
  return `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${sandbox};K8S_POD_UID=${uid}`;
}

export function pluginEnv(command: string, target: ChainTarget): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: target.containerId,
    CNI_NETNS: target.netns,
    CNI_IFNAME: target.ifName,
    CNI_ARGS: target.args,
    CNI_PATH: '/usr/lib/cni',
  };
}

/** ADD of the whole chain. Throws ChainError with the plugin's error JSON. */
export async function chainAdd(
  exec: ExecPlugin,
  conflist: Conflist,
  target: ChainTarget,
): Promise<ChainResult> {
  let result: ChainResult | undefined;
  for (const plugin of conflist.plugins) {
    const text = await call(exec, 'ADD', { conflist, plugin, target, result });
    result = JSON.parse(text) as ChainResult;
  }
  return result ?? {};
}

export async function chainDel(
  exec: ExecPlugin,
  conflist: Conflist,
  target: ChainTarget,
  result?: ChainResult,
): Promise<void> {
  for (const plugin of [...conflist.plugins].reverse()) {
    await call(exec, 'DEL', { conflist, plugin, target, result });
  }
}

export async function chainCheck(
  exec: ExecPlugin,
  conflist: Conflist,
  target: ChainTarget,
  result: ChainResult,
): Promise<void> {
  for (const plugin of conflist.plugins) {
    await call(exec, 'CHECK', { conflist, plugin, target, result });
  }
}

interface Step {
  readonly conflist: Conflist;
  readonly plugin: Conflist['plugins'][number];
  readonly target: ChainTarget;
  readonly result: ChainResult | undefined;
}

async function call(exec: ExecPlugin, command: string, step: Step): Promise<string> {
  const { cniVersion, name } = step.conflist;
  const config = {
    ...step.plugin,
    cniVersion,
    name,
    ...(step.result === undefined ? {} : { prevResult: step.result }),
  };
  const output = await exec(step.plugin.type, pluginEnv(command, step.target), JSON.stringify(config));
  if (output.exitCode !== 0) {
    throw new ChainError(`${step.plugin.type} ${command}: ${output.stdout}`);
  }
  return output.stdout;
}
