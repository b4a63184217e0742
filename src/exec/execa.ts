import { execa } from 'execa';
import { assertRunnable, ENVIRONMENT, MAX_OUTPUT_BYTES, toRunError } from './contract.ts';
import { type Command, DEFAULT_TIMEOUT_MS, type RunResult } from './types.ts';

/**
 * `Run` on execa, for processes that live long: the event loop goes on while the command runs.
 *
 * Throws RunError as `Run` says.
 */
export async function run(command: Command): Promise<RunResult> {
  assertRunnable(command);
  const timeout = command.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const result = await execa(command.file, command.args, {
    ...(command.input === undefined ? { stdin: 'ignore' } : { input: command.input }),
    env: ENVIRONMENT,
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT_BYTES,
    timeout,
  });
  const { exitCode, stdout, stderr } = result;
  if (exitCode === undefined || result.isMaxBuffer) {
    const { code, timedOut, signal, cause } = result;
    throw toRunError(command, { code, timedOut, signal, cause });
  }
  return { exitCode, stdout, stderr };
}
