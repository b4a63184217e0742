/**
 * The agent of one node: follows the cluster, decides by the model and the plan what this node has to
 * enforce, and keeps node cache, kernel and charon in step with it. This folder holds what ties its rooms
 * together; the rooms are loop (when), kernel (XFRM policies), charon, host (what else of the node's network
 * is ours), model (what), keys, enabling and report. It imports cluster, ipsec, rundir, kube, pki and util;
 * nobody but bin imports it.
 */
import { HEARTBEAT_MS } from '../rundir/heartbeat.ts';
import type { NodeCache } from '../rundir/schema.ts';
import { messageOf } from '../util/message-of.ts';
import { createWake } from '../util/wake.ts';
import type { AgentEffects } from './effects.ts';
import { createAcceptance } from './enabling/acceptance.ts';
import { keepInspecting } from './kernel/inspect.ts';
import { createFollower } from './loop/follow.ts';
import { reconcile } from './loop/reconcile.ts';
import { tell } from './report/tell.ts';
import { newState } from './state.ts';

/** How often hairpin and routes are looked at, if nothing else happens. */
const NETWORK_MS = 30_000;
/** How soon they are tried again after they could not be laid. */
const NETWORK_RETRY_MS = 2_000;
/** The least time between two heartbeats: each asks charon for all its SAs. */
export const REST_MS = 1_000;

/**
 * Keeps cache, kernel and charon in step with the source until the signal aborts. What is in force stays in
 * force when it ends. Throws only if the source cannot be read at the start.
 */
export async function runAgent(
  effects: AgentEffects,
  initial: NodeCache | null,
  signal: AbortSignal,
): Promise<void> {
  const { charon, news, log } = effects;
  const state = newState(initial);
  const acceptance = createAcceptance(effects);
  const follower = createFollower(effects, state);
  const stepped = createWake();
  const stop = new AbortController();
  const running = AbortSignal.any([signal, stop.signal]);

  /** Hairpin and routes. Without them packets are lost, which is no reason to hold back anything else. */
  const keepNetwork = async (): Promise<void> => {
    while (!running.aborted) {
      await stepped.wait(state.hairpinError === '' ? NETWORK_MS : NETWORK_RETRY_MS, running);
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

  const heartbeat = async (): Promise<void> => {
    while (!running.aborted) {
      await tell(effects, state, acceptance.told(state.enforcedPolicies));
      await effects.sleep(REST_MS, running);
      await news.wait(HEARTBEAT_MS - REST_MS, running);
    }
  };

  /**
   * A phase that the controller does not end in time ends by itself, as does what is remembered for a while:
   * the model is asked again then.
   */
  const endPhases = async (): Promise<void> => {
    while (!running.aborted) {
      await effects.sleep(HEARTBEAT_MS, running);
      const enabling = state.policies.some(({ phase }) => phase !== 'require');
      if ((enabling || state.due()) && state.snapshot !== undefined && !running.aborted) {
        follower.remodel(state.snapshot);
      }
    }
  };

  effects.watchAttachments(running);
  effects.wake.notify();
  const tasks = [
    follower.follow(running),
    reconcile({ effects, state, acceptance, onStep: stepped.notify }, running),
    keepNetwork(),
    effects.watchNetwork(stepped.notify, running),
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
