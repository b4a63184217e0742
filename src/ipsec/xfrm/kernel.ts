/**
 * The room `ipsec/xfrm` is the only one that reads and writes the kernel's policies and SAs, by running
 * iproute2's `ip`: this file reads; `parse` understands what `ip` prints; `write` applies operations and
 * undoes what fails; `compare` finds differences. It decides nothing: policies come from `ipsec/plan`. It
 * never changes a policy that is not ours. It imports types and constants of `ipsec/plan` and the runner's
 * types of src/exec; what runs `ip` is passed in.
 */

import { type Command, DEFAULT_TIMEOUT_MS } from '../../exec/types.ts';
import { XfrmError } from './error.ts';
import { type Iproute2, runIp, type StreamingIproute2, saidBy, streamIp } from './iproute2.ts';
import type { KernelPolicy } from './kernel-policy.ts';
import { completeBlocks, UnknownLine, unreadable } from './parse/block.ts';
import { parsePolicies } from './parse/policy.ts';
import { type KernelState, parseStates } from './parse/state.ts';

export { ownPolicies } from './kernel-policy.ts';

/** Identifies an ESP SA. */
export interface StateId {
  readonly src: string;
  readonly dst: string;
  readonly spi: number;
}

/**
 * All policies of the network namespace, whoever wrote them, in the kernel's order.
 *
 * @throws XfrmError `unreadable`, `command-failed`, and those of `runIp`
 */
export async function listPolicies(iproute2: Iproute2): Promise<KernelPolicy[]> {
  return parsePolicies(await read(iproute2, ['xfrm', 'policy']));
}

export interface EachOptions {
  /** Waits after a piece of the listing that took `tookMs` milliseconds to process. */
  readonly pause?: (tookMs: number) => Promise<void>;
  readonly timeoutMs?: number;
}

/**
 * As `listPolicies`, but hands over one policy at a time and keeps none: a list of 100,000 would take 100 MB.
 *
 * @throws XfrmError as `listPolicies`
 */
export async function eachPolicy(
  iproute2: StreamingIproute2,
  take: (policy: KernelPolicy) => void,
  { pause = async () => undefined, timeoutMs = DEFAULT_TIMEOUT_MS }: EachOptions = {},
): Promise<void> {
  const args = ['xfrm', 'policy'];
  let rest = '';
  const result = await streamIp(iproute2, { args, timeoutMs }, async (text) => {
    const started = performance.now();
    const [complete, begun] = completeBlocks(rest + text);
    rest = begun;
    parsePolicies(complete).forEach(take);
    await pause(performance.now() - started);
  });
  if (result.exitCode !== 0) {
    throw failed(`ip ${args.join(' ')}`, saidBy(result));
  }
  parsePolicies(rest).forEach(take);
}

/**
 * As `listPolicies`, with the fields `used` and `index`.
 *
 * @throws XfrmError as `listPolicies`
 */
export async function listUsedPolicies(iproute2: Iproute2): Promise<KernelPolicy[]> {
  return parsePolicies(await read(iproute2, ['-s', 'xfrm', 'policy']));
}

/**
 * How many policies the network namespace has, whoever wrote them. Listing 100,000 policies takes a second,
 * counting them takes no measurable time.
 *
 * @throws XfrmError as `listPolicies`
 */
export async function countPolicies(iproute2: Iproute2): Promise<number> {
  const said = await read(iproute2, ['-batch', '-'], { input: 'xfrm policy count\n', lines: 1 });
  const found = /SPD IN +(\d+) OUT +(\d+) FWD +(\d+)/.exec(said);
  if (found === null) {
    throw unreadable('ip xfrm policy count', new UnknownLine(said.trim()));
  }
  return found.slice(1).reduce((sum, count) => sum + Number(count), 0);
}

/**
 * All SAs of the network namespace with their counters. The keys stay in the kernel (`nokeys`).
 *
 * @throws XfrmError as `listPolicies`
 */
export async function listStates(iproute2: Iproute2): Promise<KernelState[]> {
  return parseStates(await read(iproute2, ['-s', 'xfrm', 'state', 'list', 'nokeys']));
}

/**
 * Deletes one ESP SA. An SA that is gone already is no error.
 *
 * @throws XfrmError `command-failed` and those of `runIp`
 */
export async function deleteState(iproute2: Iproute2, { src, dst, spi }: StateId): Promise<void> {
  const id = ['src', src, 'dst', dst, 'proto', 'esp', 'spi', `0x${spi.toString(16)}`];
  const result = await runIp(iproute2, { args: ['xfrm', 'state', 'delete', ...id] });
  if (result.exitCode !== 0 && !result.stderr.includes('No such process')) {
    throw failed(`ip xfrm state delete ${id.join(' ')}`, saidBy(result));
  }
}

async function read(
  iproute2: Iproute2,
  args: readonly string[],
  rest: Pick<Command, 'input' | 'lines'> = {},
): Promise<string> {
  const result = await runIp(iproute2, { args, ...rest });
  if (result.exitCode !== 0) {
    throw failed(`ip ${args.join(' ')}`, saidBy(result));
  }
  return result.stdout;
}

function failed(command: string, said: string): XfrmError {
  return new XfrmError({ reason: 'command-failed', said }, `${command}: ${said}`);
}
