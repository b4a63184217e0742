import { type Command, type Run, RunError, type RunResult, type RunStream } from '../../exec/types.ts';
import { XfrmError } from './error.ts';

/** How to run iproute2. `ip` is an absolute path. */
export interface Iproute2 {
  readonly run: Run;
  readonly ip: string;
}

/** As `Iproute2`, and can read output piece by piece, for tables that are too long to keep in memory. */
export interface StreamingIproute2 extends Iproute2 {
  readonly stream: RunStream;
}

/**
 * Runs `ip` once. If the kernel refuses the command, that is a result (its exit code); a machine that cannot
 * do XFRM at all is an error.
 *
 * @throws XfrmError `no-iproute2`, `not-permitted`, `no-xfrm`, `interrupted`, `command-failed` (`ip` cannot
 * be executed)
 */
export async function runIp({ run, ip }: Iproute2, command: Omit<Command, 'file'>): Promise<RunResult> {
  return await capable(run({ file: ip, ...command }));
}

/**
 * As `runIp`, but passes the output of `ip` to `take` in pieces.
 *
 * @throws XfrmError as `runIp`, and what `take` throws
 */
export async function streamIp(
  { stream, ip }: StreamingIproute2,
  command: Omit<Command, 'file' | 'input'>,
  take: (text: string) => void | Promise<void>,
): Promise<Omit<RunResult, 'stdout'>> {
  return await capable(stream({ file: ip, ...command }, take));
}

async function capable<R extends Omit<RunResult, 'stdout'>>(running: Promise<R>): Promise<R> {
  try {
    const result = await running;
    if (result.exitCode !== 0) {
      assertCapable(result.stderr);
    }
    return result;
  } catch (error) {
    throw error instanceof RunError ? fromRunError(error) : error;
  }
}

/**
 * What `ip` wrote to stderr, in one line. It leaves out the line with the number of the failed batch line,
 * which means nothing to a reader.
 */
export function saidBy({ stderr, exitCode }: Omit<RunResult, 'stdout'>): string {
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Command failed '));
  return lines.join('; ') || `exit status ${exitCode}`;
}

function assertCapable(stderr: string): void {
  if (stderr.includes('Operation not permitted')) {
    throw new XfrmError({ reason: 'not-permitted' }, 'XFRM needs CAP_NET_ADMIN in this network namespace');
  }
  if (/Protocol not supported|Cannot open netlink socket/.test(stderr)) {
    throw new XfrmError({ reason: 'no-xfrm' }, 'this kernel has no XFRM interface (CONFIG_XFRM_USER)');
  }
}

function fromRunError(error: RunError): XfrmError {
  const { reason, message } = error;
  const options = { cause: error };
  switch (reason) {
    case 'not-found':
      return new XfrmError({ reason: 'no-iproute2' }, `iproute2 is missing: ${message}`, options);
    case 'timeout':
    case 'signal':
      return new XfrmError({ reason: 'interrupted' }, message, options);
    case 'failed':
      return new XfrmError({ reason: 'command-failed', said: message }, message, options);
  }
}
