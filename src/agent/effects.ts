import type { Logger } from 'pino';
import type { NamedService, ObjectProblem, Snapshot, Source } from '../cluster/snapshot.ts';
import type { Phase } from '../ipsec/plan/types.ts';
import type { Heartbeat } from '../rundir/heartbeat.ts';
import type { NodeCache, NodeCacheContent } from '../rundir/schema.ts';
import type { Wake } from '../util/wake.ts';
import type { CharonLink } from './charon/link.ts';
import type { AcceptanceEffects } from './enabling/acceptance.ts';
import type { NodeKernel } from './kernel/node-kernel.ts';
import type { NodeReport } from './report/node-report.ts';

/** All that the agent does to the world outside of it. Tests hand over others. */
export interface AgentEffects extends AcceptanceEffects {
  readonly source: Source;
  readonly charon: CharonLink;
  readonly kernel: NodeKernel;
  /**
   * Wakes the loop. Whoever sees a change notifies it: the source, the attachments' folder, charon's session.
   */
  readonly wake: Wake;
  /** Wakes the heartbeat alone: something is to be told, and kernel and charon have nothing to do for it. */
  readonly news: Wake;
  /** The cluster as this node sees it. `previous` keeps reqids stable. */
  readonly model: (
    snapshot: Snapshot,
    previous: NodeCache | null,
  ) => {
    content: NodeCacheContent;
    problems: readonly ObjectProblem[];
    phases: ReadonlyMap<string, Phase>;
    /** Whether something has ended by time since, so that another result is due. */
    due?: () => boolean;
  };
  /** What the items that are in force name. */
  readonly inForce?: () => readonly NamedService[];
  /**
   * Lays what keeps the first packet of a flow through DNAT, and routes where they are ours. Throws if it
   * cannot.
   */
  readonly keepNetwork: (cache: NodeCache) => Promise<void>;
  /**
   * Calls `onChange` when somebody may have taken away what `keepNetwork` has laid, until the signal aborts.
   */
  readonly watchNetwork: (onChange: () => void, signal: AbortSignal) => Promise<void>;
  /** What else is not well, although nothing that is protected depends on it: one text each. */
  readonly notices: () => readonly string[];
  readonly watchAttachments: (signal: AbortSignal) => void;
  /** Tells the cluster what this node enforces. */
  readonly publish: (report: NodeReport) => void;
  readonly writeHeartbeat: (heartbeat: Omit<Heartbeat, 'pid' | 'version' | 'uptimeMs'>) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Logger;
}
