import { spawnSync } from 'node:child_process';
import { assertRunnable, ENVIRONMENT, MAX_OUTPUT_BYTES, toRunError } from './contract.ts';
import { type Command, DEFAULT_TIMEOUT_MS, type RunResult } from './types.ts';

/**
 * `Run` on `spawnSync`, for a process that does one thing and ends (the CNI plugin). It needs no stream, no
 * event loop and no module but node's own, and blocks until the command ends. A command that ends without
 * having read its input (EPIPE) counts as ended, not as failed.
 *
 * Throws RunError as `Run` says.
 */
export async function runSync(command: Command): Promise<RunResult> {
  assertRunnable(command);
  const result = spawnSync(command.file, command.args, {
    stdio: [command.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(command.input === undefined ? {} : { input: command.input }),
    env: ENVIRONMENT,
    encoding: 'utf8',
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT_BYTES,
    timeout: command.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  });
  const code = (result.error as NodeJS.ErrnoException | undefined)?.code;
  const ended = result.error === undefined || code === 'EPIPE';
  if (!ended || result.status === null) {
    throw toRunError(command, { code, signal: result.signal, cause: result.error });
  }
  return { exitCode: result.status, stdout: result.stdout, stderr: result.stderr };
}
