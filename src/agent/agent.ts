import type { Logger } from 'pino';
import type { ObjectProblem, Snapshot, Source } from '../cluster/objects.ts';
import type { Phase } from '../ipsec/plan/types.ts';
import { HEARTBEAT_MS, type Heartbeat } from '../rundir/heartbeat.ts';
import type { NodeCache, NodeCacheContent } from '../rundir/schema.ts';
import { createWake, type Wake } from '../util/wake.ts';
import type { CharonLink } from './charon/link.ts';
import { type AcceptanceEffects, createAcceptance } from './enabling/acceptance.ts';
import type { Enforced, EnforceOptions } from './kernel/enforce.ts';
import { type InspectEffects, keepInspecting } from './kernel/inspect.ts';
import { createProblemLog } from './loop/problem-log.ts';
import { type BootIds, bootIdsOf, rebooted } from './loop/rebooted.ts';
import { reconcile } from './loop/reconcile.ts';
import { nextCache } from './loop/step.ts';
import type { NodeReport } from './report/publish.ts';
import { messageOf, newState, policyRefs, tell } from './state.ts';

/** How often hairpin and routes are looked at, if nothing else happens. */
const NETWORK_MS = 30_000;
/** The least time between two heartbeats: each asks charon for all its SAs. */
export const REST_MS = 1_000;

export interface AgentEffects extends AcceptanceEffects, InspectEffects {
  readonly source: Source;
  readonly charon: CharonLink;
  /** Notified by whoever sees a change: source, attachments, charon's session. */
  readonly wake: Wake;
  /** The cluster as this node sees it; `previous` keeps reqids stable. */
  readonly model: (
    snapshot: Snapshot,
    previous: NodeCache | null,
  ) => {
    content: NodeCacheContent;
    problems: readonly ObjectProblem[];
    phases: ReadonlyMap<string, Phase>;
  };
  /** Cache and kernel, under the lock. */
  readonly enforce: (cache: NodeCache, options: EnforceOptions) => Promise<Enforced>;
  /** False if the kernel has not as many policies as after `enforce`. */
  readonly undisturbed: () => Promise<boolean>;
  /** Lays what keeps the first packet of a flow through DNAT, and routes where they are ours. Throws if it cannot. */
  readonly keepNetwork: (cache: NodeCache) => Promise<void>;
  readonly watchAttachments: (signal: AbortSignal) => void;
  /** Tells the cluster what this node enforces. */
  readonly publish: (report: NodeReport) => void;
  readonly writeHeartbeat: (heartbeat: Omit<Heartbeat, 'pid' | 'version'>) => void;
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * The watcher: follows the source, and keeps cache, kernel and charon in step until the signal aborts. What is in force stays in
 * force when it ends. Throws only if the source cannot be read at the start.
 */
export async function runAgent(
  effects: AgentEffects,
  initial: NodeCache | null,
  signal: AbortSignal,
): Promise<void> {
  const { source, charon, wake, log } = effects;
  const state = newState(initial);
  const acceptance = createAcceptance(effects);
  const noteProblems = createProblemLog(log);
  const stepped = createWake();
  const news = createWake();
  const stop = new AbortController();
  const running = AbortSignal.any([signal, stop.signal]);

  const follow = async (): Promise<void> => {
    for await (const snapshot of source.watch(running)) {
      if (snapshot.stale !== '') {
        state.sourceError = snapshot.stale;
        wake.notify('change');
        continue;
      }
      state.snapshot = snapshot;
      if (remodel(snapshot)) {
        state.sourceError = '';
      }
      void forgetRebooted(bootIdsOf(snapshot.objects.nodes));
    }
  };

  /** False if the snapshot was not understood. */
  const remodel = (snapshot: Snapshot): boolean => {
    wake.notify('change');
    try {
      const { content, problems, phases } = effects.model(snapshot, state.cache);
      state.problems = noteProblems([...snapshot.problems, ...problems]);
      state.cache = nextCache(state.cache, content, effects.now());
      state.policies = policyRefs(snapshot, phases);
      return true;
    } catch (error) {
      // This node may be missing for a moment: what is in force stays in force.
      state.sourceError = messageOf(error);
      log.error({ err: error }, 'cluster not understood');
      return false;
    }
  };

  /** A peer that has booted knows nothing of its SAs: what is sent through them is lost until they go. */
  const forgetRebooted = async (bootIds: BootIds): Promise<void> => {
    const peers = rebooted(state.bootIds, bootIds);
    state.bootIds = bootIds;
    if (peers.length > 0) {
      log.info({ peers }, 'rebooted: their IKE_SAs are dropped');
      await charon.forgetRebooted(peers).catch((error) => log.warn({ err: error }, 'IKE_SAs not dropped'));
    }
  };

  /** Without it packets are lost, which is no reason to hold back anything else. */
  const keepNetwork = async (): Promise<void> => {
    while (!running.aborted) {
      await stepped.wait(NETWORK_MS, running);
      if (state.cache === null || running.aborted) {
        continue;
      }
      const before = state.hairpinError;
      state.hairpinError = await effects.keepNetwork(state.cache).then(() => '', messageOf);
      if (state.hairpinError !== before) {
        if (state.hairpinError !== '') {
          log.warn({ problem: state.hairpinError }, 'hairpin or routes are not in step');
        }
        news.notify();
      }
    }
  };

  const beat = (): Promise<void> => tell(effects, state, acceptance.told(state.enforcedPolicies));

  const heartbeat = async (): Promise<void> => {
    while (!running.aborted) {
      await beat();
      await effects.sleep(REST_MS, running);
      await news.wait(HEARTBEAT_MS - REST_MS, running);
    }
  };

  /** A phase that nobody tells the end of ends by itself. */
  const endPhases = async (): Promise<void> => {
    while (!running.aborted) {
      await effects.sleep(HEARTBEAT_MS, running);
      const enabling = state.policies.some(({ phase }) => phase !== 'require');
      if (enabling && state.snapshot !== undefined && !running.aborted) {
        remodel(state.snapshot);
      }
    }
  };

  effects.watchAttachments(running);
  wake.notify();
  const tasks = [
    follow(),
    reconcile({ effects, state, acceptance, onStep: stepped.notify, onNews: news.notify }, running),
    keepNetwork(),
    heartbeat(),
    endPhases(),
    charon.run(running),
    keepInspecting(effects, running),
  ];
  try {
    await Promise.all(tasks);
  } finally {
    stop.abort();
    await Promise.allSettled(tasks);
  }
}
