import type { Logger } from 'pino';
import { HEARTBEAT_MS, type Heartbeat } from '../cache/heartbeat.ts';
import type { NodeCache, NodeCacheContent } from '../cache/schema.ts';
import { sameGround } from '../ipsec/plan.ts';
import type { Phase } from '../ipsec/types.ts';
import { type AcceptanceEffects, createAcceptance } from './acceptance.ts';
import type { CharonLink } from './charon/link.ts';
import { dueScope } from './due.ts';
import type { Enforced, EnforceOptions } from './enforce.ts';
import { type InspectEffects, keepInspecting } from './inspect.ts';
import type { ObjectProblem, Snapshot, Source } from './objects.ts';
import { createProblemLog } from './problem-log.ts';
import type { NodeReport, PolicyRef } from './publish.ts';
import { type BootIds, bootIdsOf, rebooted } from './rebooted.ts';
import { newState, policyRefs, tell } from './state.ts';
import { nextCache, step } from './step.ts';
import { type Scope, type Wake, widest } from './wake.ts';

/** How often the kernel's policies are counted, if nothing else happens. */
const VERIFY_MS = 10_000;
const RETRY_MS = 2_000;

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
      await forgetRebooted(bootIdsOf(snapshot.objects.nodes));
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
      state.sourceError = error instanceof Error ? error.message : String(error);
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

  const reconcile = async (): Promise<void> => {
    while (!running.aborted) {
      const woken = await wake.wait(state.reconcileError === '' ? VERIFY_MS : RETRY_MS, running);
      if (state.cache !== null && !running.aborted) {
        const scope = widest(woken, dueScope(state, effects.now())) ?? (await verify());
        if (scope !== undefined) {
          await reconcileOnce(state.cache, state.policies, scope);
        }
      }
    }
  };

  /** Everything, if somebody else was at the kernel's policies. */
  const verify = async (): Promise<Scope | undefined> =>
    (await effects.undisturbed().catch(() => false)) ? undefined : 'all';

  const reconcileOnce = async (
    cache: NodeCache,
    policies: readonly PolicyRef[],
    scope: Scope,
  ): Promise<void> => {
    const fresh = state.sourceError === '' ? { ...cache, writtenAt: effects.now() } : cache;
    const hairpin = keepHairpin(cache);
    const ground = state.ground !== null && sameGround(state.ground, cache);
    state.ground = null;
    try {
      const enforce = (next: NodeCache): Promise<Enforced> =>
        effects.enforce(next, { pins: charon.pins(), trusting: scope !== 'all' });
      const done =
        scope === 'change' && ground
          ? await enforce(fresh)
          : await step(fresh, {
              loadConnections: charon.load,
              pruneConnections: charon.prune,
              enforce,
              sleep: effects.sleep,
            });
      state.ground = cache;
      state.charonAt = scope === 'change' && ground ? state.charonAt : effects.now();
      state.enforcedGeneration = cache.generation;
      state.enforcedPolicies = policies;
      state.planned = done.planned;
      report(done);
      void acceptance
        .prepare(cache, policies, running)
        .then((done) => (done ? beat() : undefined))
        .catch((error) => log.error({ err: error }, 'acceptance not told'));
    } catch (error) {
      state.reconcileError = error instanceof Error ? error.message : String(error);
      log.error({ err: error, generation: cache.generation }, 'reconcile failed');
    }
    await hairpin;
    await beat();
  };

  /** Without it packets are lost, which is no reason to hold back anything else. */
  const keepHairpin = async (cache: NodeCache): Promise<void> => {
    const before = state.hairpinError;
    try {
      await effects.keepNetwork(cache);
      state.hairpinError = '';
    } catch (error) {
      state.hairpinError = error instanceof Error ? error.message : String(error);
    }
    if (state.hairpinError !== before && state.hairpinError !== '') {
      log.warn({ problem: state.hairpinError }, 'hairpin or routes are not in step');
    }
  };

  const report = (done: Enforced): void => {
    state.reconcileError =
      done.conflicts.length === 0
        ? ''
        : `policies of somebody else are in the way: ${done.conflicts.join('; ')}`;
    if (done.added + done.updated + done.deleted > 0 || state.reconcileError !== '') {
      log.info({ ...done, generation: state.enforcedGeneration }, 'reconciled');
    }
  };

  const beat = (): Promise<void> => tell(effects, state, acceptance.told(state.enforcedPolicies));

  const heartbeat = async (): Promise<void> => {
    while (!running.aborted) {
      await beat();
      // A phase that nobody tells the end of ends by itself.
      if (state.snapshot !== undefined && state.policies.some(({ phase }) => phase !== 'require')) {
        remodel(state.snapshot);
      }
      if (!running.aborted) {
        await effects.sleep(HEARTBEAT_MS, running);
      }
    }
  };

  effects.watchAttachments(running);
  wake.notify();
  const tasks = [follow(), reconcile(), heartbeat(), charon.run(running), keepInspecting(effects, running)];
  try {
    await Promise.all(tasks);
  } finally {
    stop.abort();
    await Promise.allSettled(tasks);
  }
}
