import { DEFAULT_TIMEOUT_MS } from '../../run/types.ts';
import { type Iproute2, runIp, saidBy } from './iproute2.ts';
import type { Operation } from './operation.ts';
import { renderOperation } from './render.ts';

/** How far a batch came: `done` operations took effect; the next one failed for the reason `said`, if there is one. */
export interface BatchResult {
  readonly done: number;
  readonly said?: string;
}

/**
 * `ip` exits at the first XFRM line that the kernel refuses, `-force` or not, and does not tell its number. A cheap
 * question after each line that prints exactly one line (`SPD IN 0 OUT 1 FWD 0`) says how far it came.
 */
const MARKER = 'xfrm policy count';

/** Applies the operations in order with one process, up to the first that fails. None is no process. */
export async function runBatch(iproute2: Iproute2, operations: readonly Operation[]): Promise<BatchResult> {
  if (operations.length === 0) {
    return { done: 0 };
  }
  const input = operations.map((operation) => `${renderOperation(operation)}\n${MARKER}\n`).join('');
  const result = await runIp(iproute2, {
    args: ['-batch', '-'],
    input,
    timeoutMs: timeoutMs(operations.length),
  });
  const done = countMarkers(result.stdout);
  return done === operations.length ? { done } : { done, said: saidBy(result) };
}

/** A batch that is cut off leaves the kernel half-way: generous, as an update can cost 3 ms in a large table. */
function timeoutMs(operations: number): number {
  return DEFAULT_TIMEOUT_MS + 10 * operations;
}

function countMarkers(stdout: string): number {
  return stdout.match(/^\s*SPD\s/gm)?.length ?? 0;
}
