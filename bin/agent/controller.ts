import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { parseDays } from '../../src/pki/cli.ts';
import { sleep } from '../../src/util/sleep.ts';
import { VERSION } from '../../src/version.ts';
import { logListening } from './observed.ts';
import { loggerOf, parseSeconds, stopSignal } from './process.ts';

interface Flags {
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly identity: string;
  readonly certificates: 'request' | 'files';
  readonly agentAccount: string;
  readonly certificateDays: number;
  readonly caDays: number;
  readonly caLimit: number;
  readonly phaseLimit: number;
  readonly listen?: string;
  readonly logLevel: string;
}

export function registerController(program: Command): void {
  program
    .command('controller')
    .description('write the status of each IPsecPolicy; of several replicas one works')
    .option('--kubeconfig <file>', 'by default the ServiceAccount of the pod, or KUBECONFIG')
    .addOption(
      new Option('--namespace <name>', 'where the Lease is').env('POD_NAMESPACE').default('trapline-system'),
    )
    .addOption(new Option('--identity <name>', 'of this replica').env('POD_NAME').default(hostname()))
    .addOption(
      new Option('--certificates <source>', 'keep a CA and sign for nodes, or leave keys to others')
        .choices(['request', 'files'])
        .default('request'),
    )
    .option(
      '--agent-account <name>',
      'ServiceAccount of the agents, the only one that is signed for',
      'trapline-agent',
    )
    .option('--certificate-days <days>', "longest life of a node's certificate", parseDays, 30)
    .option('--ca-days <days>', 'life of a CA that is made here', parseDays, 3650)
    .option('--ca-limit <seconds>', 'how long each step to another CA waits for a node', parseSeconds, 3_600)
    .option(
      '--phase-limit <seconds>',
      'how long a policy that is being enabled waits for a node',
      parseSeconds,
      10,
    )
    .option('--listen <address:port>', '/metrics, /healthz and /readyz')
    .option('--log-level <level>', 'trace, debug, info, warn, error', 'info')
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { kubeconfig, namespace, identity, listen, logLevel } = flags;
  const log = loggerOf(logLevel, { replica: identity });
  const signal = stopSignal();
  const { createKubeClient, loadKubeConfig } = await import('../../src/kube/client.ts');
  const { runController } = await import('../../src/controller/controller.ts');
  let onStragglers: (nodes: readonly string[]) => void = () => {};
  if (listen !== undefined) {
    const { collectDefaultMetrics, Gauge, Registry } = await import('prom-client');
    const { serveHttp } = await import('../../src/util/http.ts');
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const waiting = new Gauge({
      name: 'trapline_ca_waiting_for_node',
      help: 'Nodes that the change to another CA waits for',
      labelNames: ['node'],
      registers: [registry],
    });
    onStragglers = (nodes) => {
      waiting.reset();
      for (const node of nodes) {
        waiting.set({ node }, 1);
      }
    };
    const onProblem = (problem: string): void => logListening(log, listen, problem);
    serveHttp({ listen, registry, health: () => '', readiness: () => '', onProblem, sleep }, signal);
  }
  const client = createKubeClient(loadKubeConfig(kubeconfig));
  log.info({ version: VERSION }, 'started');
  const { agentAccount, caDays, certificateDays: days } = flags;
  const caLimitMs = 1_000 * flags.caLimit;
  const keys =
    flags.certificates === 'request' ? { agentAccount, caDays, caLimitMs, days, onStragglers } : undefined;
  const phaseLimitMs = 1_000 * flags.phaseLimit;
  const clocks = { now: Date.now, clock: () => performance.now() };
  await runController({ client, namespace, identity, keys, phaseLimitMs, ...clocks, sleep, log }, signal);
  log.info('stopped');
}
