/**
 * How subprocesses run: one contract (`Run`, `RunStream`) and several ways to keep it. `runSync` is for the
 * plugin, `run` and `runStream` (on execa) for processes that live long; `createLastingRun` gives many
 * commands to one process.
 *
 * All others get a `Run` passed in, so that tests need no process. The room imports nothing of the project.
 */
/**
 * One subprocess: absolute path and arguments, no shell. The runner sets the environment (LC_ALL=C, TZ=UTC).
 */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly input?: string;
  /** 0: no limit. */
  readonly timeoutMs?: number;
  /**
   * Set if the command reads `input` line by line and has done all of it when it has printed this many lines.
   * Such a command may be given to a process that stays. A line that the program refuses ends that process.
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
 * As `Run`, for a long output. `take` gets the output in pieces, cut anywhere between two characters; the
 * next piece comes when `take` is done with the last. If `take` throws, the command is ended and the error
 * passed on. When `stop` aborts, the command is killed, which is a RunError.
 */
export type RunStream = (
  command: Omit<Command, 'input'>,
  take: (text: string) => void | Promise<void>,
  stop?: AbortSignal,
) => Promise<Omit<RunResult, 'stdout'>>;

/** A command gave no exit status. */
export class RunError extends Error {
  override readonly name = 'RunError';
  readonly reason: 'not-found' | 'timeout' | 'signal' | 'failed';

  constructor(reason: RunError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export const DEFAULT_TIMEOUT_MS = 30_000;
