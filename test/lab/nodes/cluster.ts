import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../../src/exec/execa.ts';
import { type ApiServer, applyCrds, startApiServer } from '../../helpers/kube/apiserver.ts';
import { kubeconfigOf } from '../../helpers/kube/service-account.ts';
import { inNamespace } from '../../helpers/netns/netns.ts';
import { ROOT } from '../../helpers/unit/root.ts';
import { executable } from './node.ts';
import { type Daemon, startIn } from './process.ts';
import { NODES } from './topology.ts';
import type { Wire } from './wire.ts';

/** In QEMU a node can take longer than 10 s for a step of enabling. */
const PHASE_LIMIT = process.env.TRAPLINE_EMULATED === '1' ? ['--phase-limit', '80'] : [];

/** Where the agents read the cluster from. */
export interface LabCluster {
  readonly kind: 'directory' | 'kubernetes';
  /** Options of `trapline-agent run` on a node. */
  readonly agentArgs: (node: string) => readonly string[];
  /** Puts a manifest under a name, in the place of the one before. */
  put(name: string, text: string): Promise<void>;
  /** `kubectl apply -f conf/examples/<file>` */
  applyPolicy(file: string): Promise<void>;
  deletePolicy(): Promise<void>;
  /** `kubectl get`; empty without an API server. */
  get(...args: string[]): Promise<string>;
  /** `kubectl annotate`. */
  annotate(...args: string[]): Promise<void>;
  /** As the runtime hears of a pod's uid. */
  uidOf(namespace: string, pod: string): Promise<string>;
  destroy(): Promise<void>;
}

const example = (file: string): string => join(ROOT, 'conf/examples', file);

export function directoryCluster(base: string): LabCluster {
  const folder = join(base, 'cluster');
  mkdirSync(folder);
  // As an editor does: a new file under the old name.
  const replace = (name: string, write: (temporary: string) => void): void => {
    const temporary = join(base, name);
    write(temporary);
    renameSync(temporary, join(folder, name));
  };
  return {
    kind: 'directory',
    agentArgs: () => ['--source-dir', folder],
    put: async (name, text) => replace(name, (path) => writeFileSync(path, text)),
    applyPolicy: async (file) => replace('policy.yaml', (path) => copyFileSync(example(file), path)),
    deletePolicy: async () => rmSync(join(folder, 'policy.yaml')),
    get: async () => '',
    annotate: async () => undefined,
    uidOf: async (_namespace, pod) => `uid-${pod}`,
    destroy: async () => undefined,
  };
}

/** A real kube-apiserver on the wire, and the controller; agents reach it by the nodes' network. */
export async function kubernetesCluster(base: string, wire: Wire): Promise<LabCluster> {
  const path = `/run/netns/${wire.namespace}`;
  const place = { namespace: { path, run: inNamespace(path, run) }, address: wire.address };
  const server: ApiServer = await startApiServer(place);
  await applyCrds(server);
  const policies = ['ipsecpolicies', '--all'];
  await server.kubectl(['apply', '-f', join(ROOT, 'conf/install.yaml')]);
  const kubeconfigs = new Map<string, string>();
  for (const { name } of NODES) {
    kubeconfigs.set(name, await kubeconfigOf(server, 'trapline-agent', name));
  }
  const controllerConfig = await kubeconfigOf(server, 'trapline-controller', NODES[0]?.name ?? '');
  const controller: Daemon = startIn(
    ['/usr/bin/nsenter', `--net=${path}`, '--'],
    [
      ...[executable('trapline-agent'), 'controller'],
      ...['--kubeconfig', controllerConfig, '--namespace', 'trapline-system', ...PHASE_LIMIT],
    ],
    join(base, 'controller.log'),
  );
  return {
    kind: 'kubernetes',
    agentArgs: (node) => [
      ...['--source', 'kubernetes', '--kubeconfig', kubeconfigs.get(node) ?? ''],
      ...['--ca-spread', '2', ...PHASE_LIMIT],
    ],
    put: async (_name, text) => void (await server.kubectl(['apply', '-f', '-'], text)),
    applyPolicy: async (file) => void (await server.kubectl(['apply', '-f', example(file)])),
    deletePolicy: async () => void (await server.kubectl(['delete', ...policies])),
    get: (...args) => server.kubectl(['get', ...args]),
    annotate: async (...args) => void (await server.kubectl(['annotate', ...args])),
    uidOf: (namespace, pod) =>
      server.kubectl(['get', 'pod', pod, '-n', namespace, '-o', 'jsonpath={.metadata.uid}']),
    async destroy() {
      await controller.stop('SIGKILL');
      await server.remove();
    },
  };
}
