import type { XfrmPolicy } from '../../plan/types.ts';
import { conflictError, XfrmError } from '../error.ts';
import type { Iproute2 } from '../iproute2.ts';
import { listPolicies } from '../kernel.ts';
import { byKey } from '../kernel-policy.ts';
import { inverseAll, type Operation } from '../operation.ts';
import { runBatch } from './batch.ts';
import { fitToKernel } from './fit.ts';
import { renderOperation } from './render.ts';

/**
 * How many batches to try while others keep changing the table under us; each is fitted to the kernel anew.
 */
const MAX_ROUNDS = 4;

/** The operations that took effect, in order, and the error that ended them, if there is one. */
interface Outcome {
  readonly done: readonly Operation[];
  readonly refused: readonly Refusal[];
  readonly error?: XfrmError;
  readonly count?: number;
}

/** An operation that the kernel, or `ip` itself, does not take, and what `ip` said. */
export interface Refusal {
  readonly operation: Operation;
  readonly said: string;
}

/** How operations that are refused are left out, so that the others take effect. */
export interface Isolation {
  /** With one more than so many, all operations are undone: then it is not for them that they are refused. */
  readonly most: number;
  /** Whether an operation must not take effect without the one that was refused: then it is left out, too. */
  readonly needs: (later: Operation, refused: Operation) => boolean;
}

const NO_ISOLATION: Isolation = { most: 0, needs: () => false };

/**
 * The operations that took effect, in order, and how many policies the kernel has then, whoever wrote them.
 * `count` is absent if there was nothing to do, because then nobody asked the kernel.
 */
export interface Applied {
  readonly done: readonly Operation[];
  /** Empty without `Isolation`. */
  readonly refused: readonly Refusal[];
  readonly count?: number;
}

/**
 * Applies operations with one `ip -batch` process; no key may occur twice, and an empty list starts no
 * process. An add of a policy that exists and a delete of one that is gone are not errors: then the kernel is
 * asked what it has, and a second batch does the rest. If anything else fails, the operations that took
 * effect are undone before the error is thrown.
 *
 * @returns the operations that took effect, in order
 * @throws XfrmError `conflict`, `refused`, `undo-failed`, and those of `runIp`
 */
export async function applyOperations(
  iproute2: Iproute2,
  operations: readonly Operation[],
): Promise<readonly Operation[]> {
  return (await applyCounted(iproute2, operations)).done;
}

/**
 * As `applyOperations`, and counts the policies that the kernel has afterwards. With `isolation`, operations
 * that are refused are no error.
 */
export async function applyCounted(
  iproute2: Iproute2,
  operations: readonly Operation[],
  isolation: Isolation = NO_ISOLATION,
): Promise<Applied> {
  const { error, ...applied } = await applyAll(iproute2, operations, isolation);
  const { done } = applied;
  if (error === undefined) {
    return applied;
  }
  const undo = await applyAll(iproute2, inverseAll(done), NO_ISOLATION);
  if (undo.error !== undefined) {
    const left = done.slice(0, done.length - undo.done.length);
    const message = `${error.message}; undoing it failed too: ${undo.error.message}`;
    throw new XfrmError({ reason: 'undo-failed', left }, message, { cause: error });
  }
  throw error;
}

/** Applies an add for each policy. */
export async function addPolicies(
  iproute2: Iproute2,
  policies: readonly XfrmPolicy[],
): Promise<readonly Operation[]> {
  return await applyOperations(
    iproute2,
    policies.map((policy) => ({ op: 'add', policy })),
  );
}

async function applyAll(
  iproute2: Iproute2,
  operations: readonly Operation[],
  { most, needs }: Isolation,
): Promise<Outcome> {
  const done: Operation[] = [];
  const refused: Refusal[] = [];
  let pending = operations;
  let rounds = 0;
  try {
    for (;;) {
      const batch = await runBatch(iproute2, pending);
      done.push(...pending.slice(0, batch.done));
      const failed = pending[batch.done];
      if (batch.said === undefined || failed === undefined) {
        return { done, refused, ...(batch.count === undefined ? {} : { count: batch.count }) };
      }
      if (!canBeFitted(failed, batch.said)) {
        if (refused.length === most) {
          return { done, refused, error: refusedError(failed, batch.said) };
        }
        refused.push({ operation: failed, said: batch.said });
        pending = pending.slice(batch.done + 1).filter((later) => !needs(later, failed));
        continue;
      }
      rounds += 1;
      if (rounds === MAX_ROUNDS) {
        return { done, refused, error: refusedError(failed, batch.said) };
      }
      const table = byKey(await listPolicies(iproute2));
      const fitted = fitToKernel(pending.slice(batch.done), table);
      if (fitted.conflicts.length > 0) {
        return { done, refused, error: conflictError(fitted.conflicts) };
      }
      pending = fitted.operations;
    }
  } catch (error) {
    if (error instanceof XfrmError) {
      return { done, refused, error };
    }
    throw error;
  }
}

/**
 * Whether the operation failed only because the kernel has what is to be added, or lacks what is to be
 * deleted.
 */
function canBeFitted({ op }: Operation, said: string): boolean {
  return (
    (op === 'add' && said.includes('File exists')) ||
    (op === 'delete' && said.includes('No such file or directory'))
  );
}

function refusedError(operation: Operation, said: string): XfrmError {
  const line = renderOperation(operation);
  return new XfrmError({ reason: 'refused', operation, line, said }, `ip ${line}: ${said}`);
}
