import { existsSync, rmSync } from 'node:fs';
import { Command, Option } from 'commander';
import { pino } from 'pino';
import { DEFAULT_RUN_DIR, heartbeatPath } from '../src/cache/paths.ts';
import { PROFILES, type Profile } from '../src/ipsec/charon/profile.ts';
import { registerPki } from '../src/pki/cli.ts';
import { run } from '../src/run/execa.ts';
import { VERSION } from '../src/version.ts';
import { cleanup } from '../src/watcher/cleanup.ts';
import type { Source } from '../src/watcher/objects.ts';
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

registerPki(program);

async function runNode(options: RunOptions): Promise<void> {
  const log = pino(
    { level: options.logLevel, base: { node: options.nodeName } },
    pino.destination({ dest: 2, sync: true }),
  );
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => stop.abort());
  }
  log.info({ version: VERSION }, 'started');
  await startAgent(
    {
      ...options,
      source: await sourceOf(options),
      profile: options.proposals,
      iproute2: { run, ip: options.ip },
      sysctlRoot: SYSCTL_ROOT,
      process: { pid: process.pid, version: VERSION },
      log,
    },
    stop.signal,
  );
  rmSync(heartbeatPath(options.runDir), { force: true });
  log.info('stopped; what is in force stays in force');
}

/** The client of the API server is loaded only where it is used: it is most of the executable. */
async function sourceOf({ source, sourceDir, kubeconfig, nodeName }: RunOptions): Promise<Source> {
  if (source === 'kubernetes') {
    const { createKubeClient, loadKubeConfig } = await import('../src/kube/client.ts');
    return kubernetesSource({ client: createKubeClient(loadKubeConfig(kubeconfig)), nodeName });
  }
  if (sourceDir === undefined) {
    throw new Error('--source directory needs --source-dir');
  }
  return directorySource(sourceDir);
}

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`trapline-agent: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
