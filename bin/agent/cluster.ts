import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { fileKeys } from '../../src/agent/keys/files.ts';
import type { Keys } from '../../src/agent/keys/keys.ts';
import { createPublisher, type Publisher } from '../../src/agent/report/publish.ts';
import type { Source } from '../../src/cluster/snapshot.ts';
import { directorySource } from '../../src/cluster/sources/directory.ts';
import { kubernetesSource } from '../../src/cluster/sources/kubernetes/source.ts';
import type { Removal } from '../../src/install/removal.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { sleep } from '../../src/util/sleep.ts';
import { VERSION } from '../../src/version.ts';
import type { RunFlags } from './flags.ts';

/**
 * Makes the source of the key and certificate of the node that the flags ask for. Throws if they contradict
 * each other.
 */
export async function keysOf(flags: RunFlags, client: KubeClient | undefined, log: Logger): Promise<Keys> {
  const { nodeName, pkiDir: folder, keyType, namespace, runDir } = flags;
  const common = { nodeName, folder, now: Date.now, sleep, log };
  if (client === undefined || flags.certificates === 'files') {
    if (flags.certificates === 'request') {
      throw new Error('--certificates request needs --source kubernetes');
    }
    return fileKeys(common);
  }
  const { requestedKeys } = await import('../../src/agent/keys/requested.ts');
  return requestedKeys({
    ...common,
    client,
    keyType,
    namespace,
    runDir,
    spreadMs: flags.caSpread * 1_000,
    random: Math.random,
  });
}

/** The cluster as the agent reads it and, with an API server, reports to it. */
export interface Cluster {
  readonly client?: KubeClient;
  readonly source: Source;
  readonly publisher?: Publisher;
  readonly removal?: Removal;
}

/**
 * Makes what the flags ask for. The client of the API server is most of the executable: it is loaded only
 * where it is used. Throws if a flag is missing or malformed.
 */
export async function clusterOf(flags: RunFlags, log: Logger): Promise<Cluster> {
  const { source, sourceDir, kubeconfig, nodeName, daemonset } = flags;
  if (source === 'directory') {
    if (sourceDir === undefined) {
      throw new Error('--source directory needs --source-dir');
    }
    return { source: directorySource(sourceDir) };
  }
  const { createKubeClient, loadKubeConfig } = await import('../../src/kube/client.ts');
  const client = createKubeClient(loadKubeConfig(kubeconfig));
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const cluster: Cluster = {
    client,
    source: kubernetesSource({ client, nodeName }),
    publisher: createPublisher({ client, nodeName, bootId, version: VERSION, now: Date.now, sleep, log }),
  };
  if (daemonset === undefined) {
    return cluster;
  }
  const [namespace = '', name = '', ...more] = daemonset.split('/');
  if (namespace === '' || name === '' || more.length > 0) {
    throw new Error(`--daemonset: "${daemonset}" is not <namespace>/<name>`);
  }
  const { createRemoval } = await import('../../src/install/removal.ts');
  return { ...cluster, removal: createRemoval(client, namespace, name) };
}
