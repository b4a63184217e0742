import * as z from 'zod';

/** `<runDir>/agent.json`: the agent writes it every HEARTBEAT_MS; STATUS and traplinectl read it. */
export const heartbeatSchema = z.object({
  /** Milliseconds since the epoch. */
  at: z.number().int(),
  pid: z.number().int(),
  version: z.string(),
  /** Empty if charon answers over VICI, otherwise why not. */
  charonError: z.string(),
  /** Empty if the source is in sync, otherwise why not. */
  sourceError: z.string(),
  /** Generation of the cache that the kernel and charon were last brought in step with. */
  enforcedGeneration: z.number().int(),
  /** Empty if the last reconcile succeeded, otherwise why not. */
  reconcileError: z.string(),
  /**
   * Empty if hairpin, reassembly and routes are in step (docs/design.md, The hairpin), otherwise why not:
   * first packets may be lost then. Where something could pass the policies by, the node is marked as
   * unguarded.
   */
  hairpinError: z.string(),
  /** What the source or the cluster model refused, `<object>: <message>`, bounded (BOUNDS.told). */
  problems: z.array(z.string()),
  /** Negotiations that fail, as `<peer>: <reason>`. */
  failures: z.array(z.string()).optional(),
  /** `at` by the clock that nobody can set: milliseconds since the machine booted (CLOCK_MONOTONIC). */
  uptimeMs: z.number().optional(),
});

export type Heartbeat = z.infer<typeof heartbeatSchema>;

export const HEARTBEAT_MS = 5_000;
/** An agent that has not written for this long is not alive. */
export const HEARTBEAT_STALE_MS = 20_000;

/** Both clocks of the reader: milliseconds since the epoch, and since the machine booted. */
export interface Clocks {
  readonly now: number;
  readonly uptime: number;
}

/**
 * For how many milliseconds the agent has not written. Goes by the clock that nobody can set; by the wall
 * clock only where an agent of a former version wrote. A heartbeat from the time before a boot is infinitely
 * old.
 */
export function silenceOf({ at, uptimeMs }: Pick<Heartbeat, 'at' | 'uptimeMs'>, clocks: Clocks): number {
  if (uptimeMs === undefined) {
    return clocks.now - at;
  }
  const silence = clocks.uptime - uptimeMs;
  return silence < 0 ? Number.POSITIVE_INFINITY : silence;
}
