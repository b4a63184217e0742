import { execa } from 'execa';
import { assertRunnable, ENVIRONMENT, toRunError } from './contract.ts';
import { type Command, DEFAULT_TIMEOUT_MS, type RunStream } from './types.ts';

/**
 * `RunStream` on execa. Other work of the event loop has its turn after each piece.
 *
 * Throws RunError as `Run` says, and whatever `take` throws.
 */
export const runStream: RunStream = async (command: Command, take, stop) => {
  assertRunnable(command);
  const child = execa(command.file, command.args, {
    stdin: 'ignore',
    env: ENVIRONMENT,
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
    killSignal: 'SIGKILL',
    buffer: { stdout: false },
    timeout: command.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    ...(stop === undefined ? {} : { cancelSignal: stop }),
  });
  try {
    for await (const text of child.stdout.setEncoding('utf8')) {
      await take(text);
    }
  } catch (error) {
    child.kill();
    await child;
    throw error;
  }
  const { exitCode, stderr, code, timedOut, signal, cause } = await child;
  if (exitCode === undefined) {
    throw toRunError(command, { code, timedOut, signal, cause });
  }
  return { exitCode, stderr };
};
