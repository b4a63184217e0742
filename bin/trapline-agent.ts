import { existsSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { Command, Option } from 'commander';
import { type Logger, pino } from 'pino';
import { DEFAULT_RUN_DIR, heartbeatPath } from '../src/cache/paths.ts';
import { PROFILES, type Profile } from '../src/ipsec/charon/profile.ts';
import { registerPki } from '../src/pki/cli.ts';
import { run } from '../src/run/execa.ts';
import { VERSION } from '../src/version.ts';
import { cleanup } from '../src/watcher/cleanup.ts';
import { sleep } from '../src/watcher/node.ts';
import type { Source } from '../src/watcher/objects.ts';
import { createPublisher, type Publisher } from '../src/watcher/publish.ts';
import { directorySource } from '../src/watcher/sources/directory.ts';
import { kubernetesSource } from '../src/watcher/sources/kubernetes/source.ts';
import { startAgent } from '../src/watcher/start.ts';

interface NodeOptions {
  readonly runDir: string;
  readonly vici: string;
  readonly ip: string;
  readonly nft: string;
}

interface RunOptions extends NodeOptions {
  readonly nodeName: string;
  readonly source: 'directory' | 'kubernetes';
  readonly sourceDir?: string;
  readonly kubeconfig?: string;
  readonly pkiDir: string;
  readonly childSaScope: 'service' | 'node';
  readonly proposals: Profile;
  readonly logLevel: string;
}

const SYSCTL_ROOT = '/proc/sys';
const SBIN = '/usr/sbin';
const find = (name: string): string =>
  [SBIN, '/sbin', '/usr/bin', '/bin'].map((folder) => `${folder}/${name}`).find((path) => existsSync(path)) ??
  `${SBIN}/${name}`;

const program = new Command('trapline-agent').description('the watcher of one node').version(VERSION);

/** Options of everything that touches the node. */
const onNode = (command: Command): Command =>
  command
    .option('--run-dir <dir>', 'node cache, attachment records, lock', DEFAULT_RUN_DIR)
    .option('--vici <socket>', "charon's VICI socket", '/run/charon.vici')
    .option('--ip <path>', "iproute2's ip", find('ip'))
    .option('--nft <path>', 'nftables', find('nft'));

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
  .requiredOption('--pki-dir <dir>', 'ca.crt, node.crt and node.key of this node')
  .addOption(
    new Option('--child-sa-scope <scope>', 'a child per service and protocol, or one per peer')
      .choices(['service', 'node'])
      .default('service'),
  )
  .addOption(
    new Option('--proposals <profile>', 'IKE and ESP proposals')
      .choices(Object.keys(PROFILES))
      .default('modern'),
  )
  .option('--log-level <level>', 'trace, debug, info, warn, error', 'info')
  .action(runNode);

onNode(program.command('cleanup'))
  .description('remove all that is ours from this node: policies, SAs, connections, files, settings')
  .action(async ({ runDir, vici, ip, nft }: NodeOptions) => {
    const done = await cleanup({ runDir, vici, iproute2: { run, ip }, nft, sysctlRoot: SYSCTL_ROOT });
    process.stdout.write(`${JSON.stringify(done)}\n`);
  });

program
  .command('controller')
  .description('write the status of each IPsecPolicy; of several replicas one works')
  .option('--kubeconfig <file>', 'by default the ServiceAccount of the pod, or KUBECONFIG')
  .addOption(
    new Option('--namespace <name>', 'where the Lease is').env('POD_NAMESPACE').default('trapline-system'),
  )
  .addOption(new Option('--identity <name>', 'of this replica').env('POD_NAME').default(hostname()))
  .option('--log-level <level>', 'trace, debug, info, warn, error', 'info')
  .action(runAsController);

registerPki(program);

interface ControllerFlags {
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly identity: string;
  readonly logLevel: string;
}

async function runAsController({
  kubeconfig,
  namespace,
  identity,
  logLevel,
}: ControllerFlags): Promise<void> {
  const log = loggerOf(logLevel, { replica: identity });
  const [{ createKubeClient, loadKubeConfig }, { runController }] = await Promise.all([
    import('../src/kube/client.ts'),
    import('../src/controller/controller.ts'),
  ]);
  const client = createKubeClient(loadKubeConfig(kubeconfig));
  log.info({ version: VERSION }, 'started');
  await runController({ client, namespace, identity, now: Date.now, sleep, log }, stopSignal());
  log.info('stopped');
}

function loggerOf(level: string, base: object): Logger {
  return pino({ level, base }, pino.destination({ dest: 2, sync: true }));
}

function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => stop.abort());
  }
  return stop.signal;
}

async function runNode(options: RunOptions): Promise<void> {
  const log = loggerOf(options.logLevel, { node: options.nodeName });
  log.info({ version: VERSION }, 'started');
  await startAgent(
    {
      ...options,
      ...(await clusterOf(options, log)),
      profile: options.proposals,
      iproute2: { run, ip: options.ip },
      sysctlRoot: SYSCTL_ROOT,
      process: { pid: process.pid, version: VERSION },
      log,
    },
    stopSignal(),
  );
  rmSync(heartbeatPath(options.runDir), { force: true });
  log.info('stopped; what is in force stays in force');
}

/** The client of the API server is loaded only where it is used: it is most of the executable. */
async function clusterOf(
  { source, sourceDir, kubeconfig, nodeName }: RunOptions,
  log: Logger,
): Promise<{ source: Source; publisher?: Publisher }> {
  if (source === 'kubernetes') {
    const { createKubeClient, loadKubeConfig } = await import('../src/kube/client.ts');
    const client = createKubeClient(loadKubeConfig(kubeconfig));
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return {
      source: kubernetesSource({ client, nodeName }),
      publisher: createPublisher({ client, nodeName, bootId, version: VERSION, now: Date.now, sleep, log }),
    };
  }
  if (sourceDir === undefined) {
    throw new Error('--source directory needs --source-dir');
  }
  return { source: directorySource(sourceDir) };
}

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`trapline-agent: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
