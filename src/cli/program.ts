/**
 * traplinectl: what an administrator sees of one node. It reads cache, heartbeat, records and the kernel at
 * one time (`readView`), computes an answer without effects (`statusOf`, `explain`), and prints it as text or
 * JSON.
 *
 * It may import `ipsec/plan`, `ipsec/xfrm`, `rundir`, `exec`, `ip`, `util`. It changes nothing, but for
 * `rotate`, which asks the agent for another certificate. It speaks neither to charon nor to the API server.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { Run } from '../exec/types.ts';
import { ownPolicies } from '../ipsec/xfrm/kernel-policy.ts';
import { DEFAULT_RUN_DIR } from '../rundir/paths.ts';
import type { NodeCache } from '../rundir/schema.ts';
import { explain } from './explain.ts';
import { formatExplanation } from './format-explain.ts';
import { formatPolicies } from './format-policies.ts';
import { formatStatus } from './format-status.ts';
import { rotate } from './rotate.ts';
import { statusOf } from './status.ts';
import { type NodeView, readView } from './view.ts';

export interface CliDeps {
  readonly run: Run;
  /** Path of iproute2's `ip`. */
  readonly ip: string;
  readonly now: () => number;
  readonly uptime: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly version: string;
}

interface Options {
  readonly runDir: string;
  readonly output: 'text' | 'json';
  readonly ip: string;
}

interface Answer {
  readonly text: string;
  readonly json: unknown;
  readonly healthy: boolean;
}

/** Runs traplinectl with the arguments after its name. Exit status: 0 healthy, 1 not healthy, 2 usage. */
export async function runCli(argv: readonly string[], deps: CliDeps): Promise<number> {
  let exitCode = 0;
  const act = async (options: Options, answer: (view: NodeView) => Answer): Promise<void> => {
    const iproute2 = { run: deps.run, ip: options.ip };
    const { text, json, healthy } = answer(
      await readView({ runDir: options.runDir, iproute2, now: deps.now, uptime: deps.uptime }),
    );
    deps.stdout(options.output === 'json' ? `${JSON.stringify(json, null, 2)}\n` : text);
    exitCode = healthy ? 0 : 1;
  };
  try {
    const program = createProgram(deps, act);
    program
      .command('rotate')
      .description('a new key and certificate for this node, with agents that ask the controller for theirs')
      .option('--run-dir <dir>', 'as of the agent', DEFAULT_RUN_DIR)
      .option('--timeout <seconds>', 'how long to wait for it', parseSeconds, 120)
      .action(async ({ runDir, timeout }: { runDir: string; timeout: number }) => {
        const { text, done } = await rotate({ ...deps, runDir, timeoutMs: timeout * 1_000 });
        deps.stdout(text);
        exitCode = done ? 0 : 1;
      });
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? 0 : 2;
    }
    throw error;
  }
}

type Act = (options: Options, answer: (view: NodeView) => Answer) => Promise<void>;

function createProgram({ ip, stdout, stderr, version }: CliDeps, act: Act): Command {
  const program = new Command('traplinectl')
    .description('what Trapline does on this node, and whether it is in step')
    .version(version)
    .exitOverride()
    .configureOutput({ writeOut: stdout, writeErr: stderr });
  const onNode = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--run-dir <dir>', 'node cache and attachment records', DEFAULT_RUN_DIR)
      .option('--ip <path>', "iproute2's ip", ip)
      .addOption(new Option('-o, --output <form>', 'form').choices(['text', 'json']).default('text'));
  onNode('status', 'agent, charon, cache and policies of this node').action((options: Options) =>
    act(options, (view) => {
      const json = statusOf(view);
      return { text: formatStatus(json), json, healthy: json.healthy };
    }),
  );
  onNode('explain', 'whether a pod is protected on this node, and why')
    .argument('<namespace/pod>', 'the pod', parsePod)
    .action(([namespace, name]: PodName, options: Options) =>
      act(options, (view) => {
        const json = explain(view, namespace, name);
        const lacking = json.kind === 'protected' && json.policies.some(({ inKernel }) => inKernel !== 'yes');
        const healthy = json.kind !== 'unknown' && !lacking;
        return { text: formatExplanation(json, cacheOf(view)), json, healthy };
      }),
    );
  onNode('policies', 'our XFRM policies in the kernel').action((options: Options) =>
    act(options, (view) => {
      if (view.kernel.kind !== 'ok') {
        return { text: `kernel: ${view.kernel.message}\n`, json: view.kernel, healthy: false };
      }
      const policies = ownPolicies(view.kernel.policies);
      return { text: formatPolicies(policies, cacheOf(view)), json: policies, healthy: true };
    }),
  );
  return program;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new InvalidArgumentError('whole seconds, 1 or more.');
  }
  return seconds;
}

type PodName = readonly [namespace: string, name: string];

function parsePod(text: string): PodName {
  const [namespace = '', name = '', ...more] = text.split('/');
  if (namespace === '' || name === '' || more.length > 0) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not <namespace>/<pod>.`);
  }
  return [namespace, name];
}

function cacheOf({ cache }: NodeView): NodeCache | null {
  return cache.kind === 'ok' ? cache.value : null;
}
