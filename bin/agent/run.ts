/**
 * The subcommands of trapline-agent: options, and the objects that the rest gets passed in (clients, runners
 * of processes, logger, signal).
 *
 * Only `bin` touches `process`. It may import every room; modules that few configurations need, such as the
 * client of the API server, are imported where they are used.
 */
import { rmSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { LONGEST_LIFETIME } from '../../src/agent/charon/renewal.ts';
import { cleanup } from '../../src/agent/cleanup.ts';
import { beSole } from '../../src/agent/sole.ts';
import { startAgent } from '../../src/agent/start.ts';
import { run } from '../../src/exec/execa.ts';
import { createLastingRun } from '../../src/exec/lasting.ts';
import { runStream } from '../../src/exec/stream.ts';
import { uninstall } from '../../src/install/install.ts';
import { keepInstalled } from '../../src/install/keep.ts';
import type { Removal } from '../../src/install/removal.ts';
import { PROFILES } from '../../src/ipsec/charon/profile.ts';
import { keyTypeOption } from '../../src/pki/cli.ts';
import { DEFAULT_RUN_DIR, heartbeatPath } from '../../src/rundir/paths.ts';
import { sleep } from '../../src/util/sleep.ts';
import { VERSION } from '../../src/version.ts';
import { clusterOf, keysOf } from './cluster.ts';
import type { NodeFlags, RunFlags } from './flags.ts';
import { installOptions, PLUGIN } from './install.ts';
import { observed } from './observed.ts';
import { find, loggerOf, parseSeconds, parseUpTo, stopSignal } from './process.ts';

/** How long we wait, when we are ended, to see whether our DaemonSet is being deleted. */
const REMOVAL_MS = 3_000;

/** Adds the options of every command that touches the node. */
const onNode = (command: Command): Command =>
  command
    .option('--run-dir <dir>', 'node cache, attachment records, lock', DEFAULT_RUN_DIR)
    .option('--state-dir <dir>', 'what was accepted, kept beyond a reboot; by default in --run-dir')
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
    .option('--no-hash-thresholds', "leave the kernel's thresholds for hashing policies as they are")
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
    .option(
      '--rekey-after <seconds>',
      'replace a CHILD_SA at this age',
      parseUpTo(LONGEST_LIFETIME.seconds, 'seconds'),
      3_600,
    )
    .option(
      '--rekey-after-packets <number>',
      'replace a CHILD_SA that has carried as many, in either direction',
      parseUpTo(LONGEST_LIFETIME.packets, 'packets'),
      LONGEST_LIFETIME.packets,
    )
    .option(
      '--renewal-hold <seconds>',
      "how long a renewal waits for the peer's agent; the same on all nodes",
      parseSeconds,
      3,
    )
    .option(
      '--phase-limit <seconds>',
      "the controller's; after three times that a policy is required without its word",
      parseSeconds,
      10,
    )
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

function cleanUp({ ip, runDir, stateDir, ...flags }: NodeFlags): ReturnType<typeof cleanup> {
  const { nft, vici, sysctlRoot } = flags;
  return cleanup({ runDir, stateDir, nft, vici, sysctlRoot, iproute2: { run, ip } });
}

async function runNode(flags: RunFlags): Promise<void> {
  const log = loggerOf(flags.logLevel, { node: flags.nodeName });
  const folders = cniFolders(flags);
  const signal = stopSignal();
  const release = await beSole(flags.runDir, `pid ${process.pid}, version ${VERSION}`);
  const cluster = await clusterOf(flags, log);
  const { publisher, notices } = await observed(flags, { publisher: cluster.publisher, signal, log });
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
      notices,
      profile: flags.proposals,
      rekeyAfter: { seconds: flags.rekeyAfter, packets: flags.rekeyAfterPackets },
      renewalHoldS: flags.renewalHold,
      phaseLimitS: flags.phaseLimit,
      nodeTraffic: flags.nodeTraffic ?? false,
      strict: flags.strict ?? false,
      routes: flags.routes ?? false,
      hashThresholds: flags.hashThresholds,
      protectUnlisted: flags.unlistedEndpoints === 'protect',
      iproute2: { run: createLastingRun(run, 'xfrm policy count'), stream: runStream, ip: flags.ip },
      process: { pid: process.pid, version: VERSION },
      log,
    },
    signal,
  );
  await installing;
  // No other agent can have written it: we are the only one until we say so.
  rmSync(heartbeatPath(flags.runDir), { force: true });
  release();
  if (cluster.removal !== undefined && (await isRemoved(cluster.removal))) {
    const paths = folders === undefined ? [] : uninstall(folders);
    log.info({ paths, ...(await cleanUp(flags)) }, 'removed from this node');
  } else {
    log.info('stopped; what is in force stays in force');
  }
  after.abort();
  await removing;
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
