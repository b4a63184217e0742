/** One subprocess: absolute path, argument array, no shell; LC_ALL=C is set by the runner. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly input?: string;
  readonly timeoutMs?: number;
  /**
   * The command reads `input` line by line, and has done what it says when it has printed so many lines: it may be given to a process that
   * stays. A line that it refuses ends it.
   */
  readonly lines?: number;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command to its end. A non-zero exit is a result, not an error.
 * Throws RunError if the program cannot be started, is killed by a signal or exceeds its time.
 */
export type Run = (command: Command) => Promise<RunResult>;

/**
 * As `Run`, for a long output: `take` gets it piece by piece, cut anywhere between two characters, the next one when it is done with the
 * last. What it throws ends the command.
 */
export type RunStream = (
  command: Omit<Command, 'input'>,
  take: (text: string) => void | Promise<void>,
) => Promise<Omit<RunResult, 'stdout'>>;

export class RunError extends Error {
  override readonly name = 'RunError';
  readonly reason: 'not-found' | 'timeout' | 'signal' | 'failed';

  constructor(reason: RunError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export const DEFAULT_TIMEOUT_MS = 30_000;
