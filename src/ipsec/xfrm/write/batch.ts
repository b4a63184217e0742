import { DEFAULT_TIMEOUT_MS } from '../../../exec/types.ts';
import { type Iproute2, runIp, saidBy } from '../iproute2.ts';
import type { Operation } from '../operation.ts';
import { renderOperation } from './render.ts';

/** How far a batch came: `done` operations took effect; the next one failed for the reason `said`, if there is one. */
export interface BatchResult {
  readonly done: number;
  readonly said?: string;
  /** Policies in the kernel when all had taken effect, whoever wrote them. */
  readonly count?: number;
}

/**
 * `ip` exits at the first XFRM line that the kernel refuses, `-force` or not, and does not tell its number. A cheap
 * question that prints exactly one line (`SPD IN 0 OUT 1 FWD 0`) says how far it came.
 */
const MARKER = 'xfrm policy count';
/** Up to so many operations the question goes after each. It costs half as much as the operation itself. */
const FEW = 64;

/** Applies the operations in order with one process, up to the first that fails. None is no process. */
export async function runBatch(iproute2: Iproute2, operations: readonly Operation[]): Promise<BatchResult> {
  if (operations.length === 0) {
    return { done: 0 };
  }
  const chunks = chunksOf(operations);
  const baseline = operations.length > FEW ? `${MARKER}\n` : '';
  const lines = chunks.map(
    (chunk) => `${chunk.map((each) => `${renderOperation(each)}\n`).join('')}${MARKER}\n`,
  );
  const result = await runIp(iproute2, {
    args: ['-batch', '-'],
    input: `${baseline}${lines.join('')}`,
    lines: chunks.length + (baseline === '' ? 0 : 1),
    timeoutMs: timeoutMs(operations.length),
  });
  const counts = countsIn(result.stdout);
  const passed = Math.max(0, counts.length - (baseline === '' ? 0 : 1));
  const whole = chunks.slice(0, passed).reduce((sum, chunk) => sum + chunk.length, 0);
  if (passed === chunks.length) {
    return { done: whole, ...countOf(counts) };
  }
  const done = whole + (await doneOf(iproute2, chunks[passed] ?? [], counts.at(-1)));
  return { done, said: saidBy(result) };
}

/**
 * Operations between two questions. Of many adds, or deletes, in a row each changes the number of policies by one, which tells how many
 * were done; an update changes nothing and stands alone.
 */
function chunksOf(operations: readonly Operation[]): Operation[][] {
  const chunks: Operation[][] = [];
  for (const operation of operations) {
    const last = chunks.at(-1);
    const joins =
      operations.length > FEW &&
      last !== undefined &&
      last.length < FEW &&
      operation.op !== 'update' &&
      last[0]?.op === operation.op;
    if (joins) {
      last.push(operation);
    } else {
      chunks.push([operation]);
    }
  }
  return chunks;
}

function countOf(counts: readonly number[]): Pick<BatchResult, 'count'> {
  const count = counts.at(-1);
  return count === undefined ? {} : { count };
}

/** How many operations of the chunk in which the batch ended took effect, the last of which did not. */
async function doneOf(
  iproute2: Iproute2,
  chunk: readonly Operation[],
  before: number | undefined,
): Promise<number> {
  if (chunk.length < 2 || before === undefined) {
    return 0;
  }
  const [now] = countsIn((await runIp(iproute2, { args: MARKER.split(' ') })).stdout);
  const change = Math.abs((now ?? before) - before);
  return Math.min(change, chunk.length - 1);
}

/** A batch that is cut off leaves the kernel half-way: generous, as an update can cost 3 ms in a large table. */
function timeoutMs(operations: number): number {
  return DEFAULT_TIMEOUT_MS + 10 * operations;
}

/** Policies in the kernel at each question. */
function countsIn(stdout: string): number[] {
  return [...stdout.matchAll(/^\s*SPD\s+IN\s+(\d+)\s+OUT\s+(\d+)\s+FWD\s+(\d+)/gm)].map(([, ...numbers]) =>
    numbers.reduce((sum, number) => sum + Number(number), 0),
  );
}
