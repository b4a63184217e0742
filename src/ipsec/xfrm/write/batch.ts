import { DEFAULT_TIMEOUT_MS } from '../../../exec/types.ts';
import { type Iproute2, runIp, saidBy } from '../iproute2.ts';
import type { Operation } from '../operation.ts';
import { renderOperation } from './render.ts';

/**
 * How far a batch came: `done` operations took effect. If `said` is there, the next operation failed, and
 * `said` is what `ip` wrote.
 */
export interface BatchResult {
  readonly done: number;
  readonly said?: string;
  /** How many policies the kernel has after all operations, whoever wrote them; absent if one failed. */
  readonly count?: number;
}

/**
 * `ip` exits at the first XFRM line that the kernel refuses, with or without `-force`, and does not tell the
 * number of that line. A marker, a cheap question that prints exactly one line (`SPD IN 0 OUT 1 FWD 0`),
 * tells how far the batch came.
 */
const MARKER = 'xfrm policy count';
/**
 * In a batch of up to so many operations a marker follows each of them. A marker costs half as much as an
 * operation.
 */
const FEW = 64;

/**
 * Applies the operations in order with one process, up to the first that fails. An empty list starts no
 * process.
 */
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
 * Groups the operations, with a marker to follow each group. Each of many adds, or deletes, in a row changes
 * the number of policies by one, so the count tells how many took effect. An update does not change the count
 * and makes a group of its own.
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

/** How many operations of the group in which the batch ended took effect. At least the last one did not. */
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

/**
 * Time limit of a batch, milliseconds. It is generous, since a batch that is cut off leaves the kernel
 * half-way and an update can take 3 ms in a large table.
 */
function timeoutMs(operations: number): number {
  return DEFAULT_TIMEOUT_MS + 10 * operations;
}

/** The number of policies that each marker printed. */
function countsIn(stdout: string): number[] {
  return [...stdout.matchAll(/^\s*SPD\s+IN\s+(\d+)\s+OUT\s+(\d+)\s+FWD\s+(\d+)/gm)].map(([, ...numbers]) =>
    numbers.reduce((sum, number) => sum + Number(number), 0),
  );
}
