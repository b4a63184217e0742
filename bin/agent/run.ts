import { readFileSync, rmSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Logger } from 'pino';
import { DEFAULT_RUN_DIR, heartbeatPath } from '../../src/cache/paths.ts';
import { uninstall } from '../../src/install/install.ts';
import { keepInstalled } from '../../src/install/keep.ts';
import type { Removal } from '../../src/install/removal.ts';
import { PROFILES, type Profile } from '../../src/ipsec/charon/profile.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { keyTypeOption } from '../../src/pki/cli.ts';
import type { KeyType } from '../../src/pki/crypto.ts';
import { run } from '../../src/run/execa.ts';
import { VERSION } from '../../src/version.ts';
import { cleanup } from '../../src/watcher/cleanup.ts';
import { fileKeys } from '../../src/watcher/keys/files.ts';
import type { Keys } from '../../src/watcher/keys/keys.ts';
import { sleep } from '../../src/watcher/node.ts';
import type { Source } from '../../src/watcher/objects.ts';
import { createPublisher, type NodeReport, type Publisher } from '../../src/watcher/publish.ts';
import { directorySource } from '../../src/watcher/sources/directory.ts';
import { kubernetesSource } from '../../src/watcher/sources/kubernetes/source.ts';
import { startAgent } from '../../src/watcher/start.ts';
import { installOptions, PLUGIN } from './install.ts';
import { find, loggerOf, stopSignal } from './process.ts';

interface NodeFlags {
  readonly runDir: string;
  readonly vici: string;
  readonly ip: string;
  readonly nft: string;
  readonly sysctlRoot: string;
}

interface RunFlags extends NodeFlags {
  readonly nodeName: string;
  readonly source: 'directory' | 'kubernetes';
  readonly sourceDir?: string;
  readonly kubeconfig?: string;
  readonly daemonset?: string;
  readonly pkiDir: string;
  readonly certificates?: 'request' | 'files';
  readonly keyType: KeyType;
  readonly caSpread: number;
  readonly namespace: string;
  readonly childSaScope: 'service' | 'node';
  readonly nodeTraffic?: boolean;
  readonly strict?: boolean;
  readonly routes?: boolean;
  readonly unlistedEndpoints: 'protect' | 'pass';
  readonly proposals: Profile;
  readonly rekeyAfter: number;
  readonly cniBinDir?: string;
  readonly cniConfDir?: string;
  readonly listen?: string;
  readonly logLevel: string;
}

/** An agent that has not come round for this long hangs. */
const HUNG_MS = 60_000;
/** How long a deletion that goes with our end may take to be seen. */
const REMOVAL_MS = 3_000;

/** Options of everything that touches the node. */
const onNode = (command: Command): Command =>
  command
    .option('--run-dir <dir>', 'node cache, attachment records, lock', DEFAULT_RUN_DIR)
    .option('--vici <socket>', "charon's VICI socket", '/run/charon.vici')
    .option('--ip <path>', "iproute2's ip", find('ip'))
    .option('--nft <path>', 'nftables', find('nft'))
    .option('--sysctl-root <dir>', 'where kernel settings can be written', '/proc/sys');

export function registerRun(program: Command): void {
  onNode(program.command('run'))
    .description('keep node cache, XFRM policies and charon in step with the cluster')
    .addOption(new Option('--node-name <name>', 'this node').env('NODE_NAME').makeOptionMandatory())
    .addOption(
      new Option('--source <kind>', 'where the cluster is read')
        .choices(['directory', 'kubernetes'])
        .default('directory'),
    )
    .option('--source-dir <dir>', 'folder of Kubernetes manifests, for --source directory')
    .option(
      '--kubeconfig <file>',
      'for --source kubernetes; by default the ServiceAccount of the pod, or KUBECONFIG',
    )
    .option('--daemonset <namespace/name>', 'clean up when we end because this DaemonSet is deleted')
    .requiredOption('--pki-dir <dir>', 'ca.crt, node.crt and node.key of this node')
    .addOption(
      new Option(
        '--certificates <source>',
        'asked of the controller, or put into --pki-dir by somebody else; by default asked for with --source kubernetes',
      ).choices(['request', 'files']),
    )
    .addOption(keyTypeOption())
    .option(
      '--ca-spread <seconds>',
      'nodes follow a new CA within this time, not all at once',
      parseSeconds,
      60,
    )
    .addOption(
      new Option('--namespace <name>', "the controller's, with the CAs")
        .env('POD_NAMESPACE')
        .default('trapline-system'),
    )
    .addOption(
      new Option('--child-sa-scope <scope>', 'a child per service and protocol, or one per peer')
        .choices(['service', 'node'])
        .default('service'),
    )
    .option('--node-traffic', 'node addresses are clients too: hostNetwork pods, kubelets, NodePort')
    .option('--routes', "keep routes to the other nodes' pod CIDRs, where no other CNI does")
    .option('--strict', 'nobody from outside of the known pod CIDRs reaches a protected port')
    .addOption(
      new Option(
        '--unlisted-endpoints <what>',
        'what goes to protected port numbers of pods that no slice lists yet',
      )
        .choices(['protect', 'pass'])
        .default('protect'),
    )
    .addOption(
      new Option('--proposals <profile>', 'IKE and ESP proposals')
        .choices(Object.keys(PROFILES))
        .default('modern'),
    )
    .option('--rekey-after <seconds>', 'replace a CHILD_SA at this age', parseSeconds, 3_600)
    .option('--cni-conf-dir <dir>', 'keep the plugin in the first conflist here; with --cni-bin-dir')
    .option('--cni-bin-dir <dir>', 'keep the executable of the plugin here')
    .option('--listen <address:port>', '/metrics, /healthz and /readyz')
    .option('--log-level <level>', 'trace, debug, info, warn, error', 'info')
    .action(runNode);

  onNode(program.command('cleanup'))
    .description('remove all that is ours from this node: policies, SAs, connections, files, settings')
    .action(async (flags: NodeFlags) => {
      process.stdout.write(`${JSON.stringify(await cleanUp(flags))}\n`);
    });
}

function cleanUp({ ip, ...flags }: NodeFlags): ReturnType<typeof cleanup> {
  return cleanup({ ...flags, iproute2: { run, ip } });
}

async function runNode(flags: RunFlags): Promise<void> {
  const log = loggerOf(flags.logLevel, { node: flags.nodeName });
  const folders = cniFolders(flags);
  const signal = stopSignal();
  const cluster = await clusterOf(flags, log);
  const publisher = await observed(flags, { publisher: cluster.publisher, signal });
  const after = new AbortController();
  const removing = cluster.removal?.run(after.signal);
  const installing = folders === undefined ? undefined : keepInstalled(folders, log, signal);
  log.info({ version: VERSION }, 'started');
  await startAgent(
    {
      ...flags,
      source: cluster.source,
      keys: await keysOf(flags, cluster.client, log),
      publisher,
      profile: flags.proposals,
      rekeyAfterS: flags.rekeyAfter,
      nodeTraffic: flags.nodeTraffic ?? false,
      strict: flags.strict ?? false,
      routes: flags.routes ?? false,
      protectUnlisted: flags.unlistedEndpoints === 'protect',
      iproute2: { run, ip: flags.ip },
      process: { pid: process.pid, version: VERSION },
      log,
    },
    signal,
  );
  await installing;
  rmSync(heartbeatPath(flags.runDir), { force: true });
  if (cluster.removal !== undefined && (await isRemoved(cluster.removal))) {
    const paths = folders === undefined ? [] : uninstall(folders);
    const { ip, nft, runDir, vici, sysctlRoot } = flags;
    log.info({ paths, ...(await cleanUp({ ip, nft, runDir, vici, sysctlRoot })) }, 'removed from this node');
  } else {
    log.info('stopped; what is in force stays in force');
  }
  after.abort();
  await removing;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 86_400) {
    throw new InvalidArgumentError('1 to 86400 whole seconds.');
  }
  return seconds;
}

function cniFolders({
  cniBinDir,
  cniConfDir,
  runDir,
}: RunFlags): ReturnType<typeof installOptions> | undefined {
  if (cniBinDir === undefined || cniConfDir === undefined) {
    if (cniBinDir !== cniConfDir) {
      throw new Error('--cni-bin-dir and --cni-conf-dir go together');
    }
    return undefined;
  }
  return installOptions({ cniBinDir, cniConfDir, runDir, executable: PLUGIN });
}

async function isRemoved(removal: Removal): Promise<boolean> {
  for (let waited = 0; waited < REMOVAL_MS && !removal.requested(); waited += 100) {
    await sleep(100);
  }
  return removal.requested();
}

/** Where the node's key and certificate come from. */
async function keysOf(flags: RunFlags, client: KubeClient | undefined, log: Logger): Promise<Keys> {
  const { nodeName, pkiDir: folder, keyType, namespace, runDir } = flags;
  const common = { nodeName, folder, now: Date.now, sleep, log };
  if (client === undefined || flags.certificates === 'files') {
    if (flags.certificates === 'request') {
      throw new Error('--certificates request needs --source kubernetes');
    }
    return fileKeys(common);
  }
  const { requestedKeys } = await import('../../src/watcher/keys/requested.ts');
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

interface Cluster {
  readonly client?: KubeClient;
  readonly source: Source;
  readonly publisher?: Publisher;
  readonly removal?: Removal;
}

/** The client of the API server is loaded only where it is used: it is most of the executable. */
async function clusterOf(flags: RunFlags, log: Logger): Promise<Cluster> {
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

interface Observation {
  readonly publisher: Publisher | undefined;
  readonly signal: AbortSignal;
}

/** The publisher, with metrics and health of the same reports. */
async function observed({ listen }: RunFlags, { publisher, signal }: Observation): Promise<Publisher> {
  const listeners: ((report: NodeReport) => void)[] = [];
  if (listen !== undefined) {
    const { createAgentMetrics } = await import('../../src/watcher/metrics.ts');
    const { serveHttp } = await import('../../src/watcher/http.ts');
    const { registry, update } = createAgentMetrics();
    let [at, error] = [Date.now(), 'not in step yet'];
    listeners.push(update, (report) => {
      [at, error] = [Date.now(), report.error];
    });
    const health = (): string => {
      const silence = Date.now() - at;
      return silence > HUNG_MS ? `nothing done for ${Math.round(silence / 1_000)} s` : '';
    };
    await serveHttp({ listen, registry, health, readiness: () => health() || error }, signal);
  }
  return {
    publish(report) {
      for (const listener of listeners) {
        listener(report);
      }
      publisher?.publish(report);
    },
    run: async (running) => publisher?.run(running),
  };
}
