import type { Snapshot } from '../../cluster/snapshot.ts';
import { checkNodeCache } from '../../rundir/check.ts';
import { messageOf } from '../../util/message-of.ts';
import type { AgentEffects } from '../effects.ts';
import { nextCache } from '../model/next-cache.ts';
import { type AgentState, policyRefs } from '../state.ts';
import { createProblemLog } from './problem-log.ts';
import { type BootIds, bootIdsOf, rebooted } from './rebooted.ts';

/** Brings the state in step with the cluster. */
export interface Follower {
  /** Takes each snapshot of the source until the signal aborts. Throws what the source throws. */
  follow(signal: AbortSignal): Promise<void>;
  /** Makes the cache anew from a snapshot and wakes the loop. False if the snapshot was not understood. */
  remodel(snapshot: Snapshot): boolean;
}

export function createFollower(effects: AgentEffects, state: AgentState): Follower {
  const { source, charon, wake, log } = effects;
  const noteProblems = createProblemLog(log);

  const remodel = (snapshot: Snapshot): boolean => {
    wake.notify('change');
    try {
      const { content, problems, phases, due } = effects.model(snapshot, state.cache);
      state.due = due ?? state.due;
      state.problems = noteProblems([...snapshot.problems, ...problems]);
      const next = nextCache(state.cache, content, effects.now());
      checkNodeCache(next);
      state.cache = next;
      state.policies = policyRefs(snapshot, phases);
      return true;
    } catch (error) {
      // This node may be missing for a moment, or the cache is none: what is in force stays in force.
      state.sourceError = messageOf(error);
      log.error({ err: error }, 'cluster not understood');
      return false;
    }
  };

  /**
   * A peer that has booted has lost its SAs. What this node sends through them is lost until they are dropped
   * here.
   */
  const forgetRebooted = async (bootIds: BootIds): Promise<void> => {
    const peers = rebooted(state.bootIds, bootIds);
    state.bootIds = bootIds;
    if (peers.length > 0) {
      log.info({ peers }, 'rebooted: their IKE_SAs are dropped');
      await charon.forgetRebooted(peers).catch((error) => log.warn({ err: error }, 'IKE_SAs not dropped'));
    }
  };

  return {
    remodel,
    async follow(signal) {
      for await (const snapshot of source.watch(signal, effects.inForce)) {
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
    },
  };
}
