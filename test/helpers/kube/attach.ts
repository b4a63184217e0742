import { join } from 'node:path';
import { createNamespace, must, withEnv } from '../netns/netns.ts';
import { pluginEnv, podArgs } from '../unit/cni.ts';
import type { KubeNode, LabContext } from './lab.ts';

/** ADD by the plugin that the agent has installed, for a pod with a namespace of its own. */
export async function attachPod(
  context: LabContext,
  node: KubeNode,
  {
    namespace,
    name,
    address,
  }: { readonly namespace: string; readonly name: string; readonly address: string },
): Promise<void> {
  const sandbox = await createNamespace(name);
  context.teardown(sandbox.remove);
  const containerId = `container-${name}`;
  const args = podArgs(namespace, name, '', containerId);
  const target = { containerId, netns: sandbox.path, ifName: 'eth0', args };
  const config = {
    cniVersion: '1.0.0',
    name: 'pods',
    type: 'trapline',
    runDir: node.runDir,
    prevResult: {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'eth0', sandbox: sandbox.path }],
      ips: [{ interface: 0, address: `${address}/24` }],
    },
  };
  const command = { file: join(node.binDir, 'trapline'), args: [], input: JSON.stringify(config) };
  await must(withEnv(command, pluginEnv('ADD', target)), node.namespace.run);
}
