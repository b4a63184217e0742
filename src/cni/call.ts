import type { Run } from '../exec/types.ts';
import type { TraplineConfig } from './config.ts';
import type { CallVariables, Environment } from './environment.ts';

/** All that a call needs of the world outside. Tests pass their own. */
export interface PluginDeps {
  readonly env: Environment;
  /** Reads stdin to its end. */
  readonly stdin: () => string;
  readonly run: Run;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds since the machine booted, which nobody can set (CLOCK_MONOTONIC): waits and ages. */
  readonly uptime: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly version: string;
}

/** One call whose input has been checked. */
export interface Call {
  readonly config: TraplineConfig;
  readonly variables: CallVariables;
  readonly deps: PluginDeps;
}
