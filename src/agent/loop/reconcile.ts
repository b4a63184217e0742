/**
 * When the node is brought in step. `reconcile` is the loop: it waits for a reason and runs one step after
 * the other. A step (step.ts) takes one cache to kernel and charon; it calls `enforce` of the kernel room for
 * the XFRM policies. follow.ts turns snapshots of the cluster into the cache that the next step takes. This
 * room decides when, never what: it imports the rooms model, kernel, charon and enabling of the agent, and
 * the plan.
 */

import { sameGround } from '../../ipsec/plan/plan.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { messageOf } from '../../util/message-of.ts';
import { type Scope, widest } from '../../util/wake.ts';
import type { AgentEffects } from '../effects.ts';
import type { Acceptance } from '../enabling/acceptance.ts';
import type { Enforced } from '../kernel/enforce.ts';
import type { PolicyRef } from '../report/node-report.ts';
import type { AgentState } from '../state.ts';
import { dueScope } from './due.ts';
import { createStepper } from './step.ts';

/** How often the kernel's policies are counted, if nothing else happens. */
const VERIFY_MS = 10_000;
const RETRY_MS = 2_000;
/** How many refused policies a line of the log names. */
const REFUSED_LOGGED = 20;

export interface ReconcileOptions {
  readonly effects: AgentEffects;
  readonly state: AgentState;
  readonly acceptance: Acceptance;
  /** Called when a step begins: whatever else keeps up with the cache begins now as well. */
  readonly onStep: () => void;
}

/**
 * Keeps kernel and charon in step with the state's cache until the signal aborts. The loop waits for the
 * kernel alone: charon, which can be slow, holds back no event.
 */
export async function reconcile(options: ReconcileOptions, signal: AbortSignal): Promise<void> {
  const { effects, state, acceptance, onStep } = options;
  const { charon, kernel, wake, news, log } = effects;
  const stepper = createStepper({
    loadConnections: charon.load,
    pruneConnections: charon.prune,
    sleep: effects.sleep,
  });

  /** `all` if somebody else has changed the kernel's policies. */
  const verify = async (): Promise<Scope | undefined> =>
    (await kernel.undisturbed().catch(() => false)) ? undefined : 'all';

  const runStep = async (cache: NodeCache, policies: readonly PolicyRef[], scope: Scope): Promise<void> => {
    const fresh = state.sourceError === '' ? { ...cache, writtenAt: effects.now() } : cache;
    const kernelOnly = scope === 'change' && state.ground !== null && sameGround(state.ground, cache);
    const enforce = (next: NodeCache): Promise<Enforced> =>
      kernel.enforce(next, { pins: charon.pins(), trusting: scope !== 'all' });
    state.ground = null;
    onStep();
    const started = effects.now();
    try {
      const done = kernelOnly ? await enforce(fresh) : await stepper.step(fresh, enforce);
      state.ground = cache;
      state.charonAt = kernelOnly ? state.charonAt : effects.now();
      state.planned = done.planned;
      noteEnforced(done, { generation: cache.generation, ms: effects.now() - started });
      stepper.charon().then(
        (mine) => (mine ? noteInStep(cache, policies) : undefined),
        (error) => (kernelOnly ? undefined : charonFailed(error)),
      );
    } catch (error) {
      state.reconcileError = messageOf(error);
      log.error({ err: error, generation: cache.generation }, 'reconcile failed');
      news.notify();
    }
  };

  /** `ms`: from the beginning of the step until the kernel was done. */
  const noteEnforced = (done: Enforced, step: { readonly generation: number; readonly ms: number }): void => {
    state.reconcileError =
      done.conflicts.length === 0
        ? ''
        : `policies of somebody else are in the way: ${done.conflicts.join('; ')}`;
    noteRefused(done.refused);
    if (done.added + done.updated + done.deleted > 0 || state.reconcileError !== '') {
      log.info({ ...done, ...step }, 'reconciled');
    }
  };

  /** Each is tried again by itself, more and more rarely: no step follows for their sake. */
  const noteRefused = (refused: readonly string[]): void => {
    const said =
      refused.length === 0
        ? ''
        : `${refused.length} policies are not in force, the kernel refuses them: ${refused.join('; ')}`;
    if (said !== state.refusedError) {
      state.refusedError = said;
      if (said === '') {
        log.info('the kernel refuses no policy any more');
      } else {
        log.error({ refused: refused.slice(0, REFUSED_LOGGED) }, 'refused by the kernel');
      }
      news.notify();
    }
  };

  /** Kernel and charon have it: the cluster may know. */
  const noteInStep = (cache: NodeCache, policies: readonly PolicyRef[]): void => {
    state.charonError = '';
    state.enforcedGeneration = cache.generation;
    state.enforcedPolicies = policies;
    acceptance
      .prepare(cache, policies, signal)
      .then((changed) => (changed ? news.notify() : undefined))
      .catch((error) => log.error({ err: error }, 'acceptance not told'));
    news.notify();
  };

  const charonFailed = (error: unknown): void => {
    state.charonError = messageOf(error);
    state.ground = null;
    log.error({ err: error }, 'charon not brought in step');
    news.notify();
    void effects.sleep(RETRY_MS, signal).then(() => wake.notify('charon'));
  };

  while (!signal.aborted) {
    const woken = await wake.wait(state.reconcileError === '' ? VERIFY_MS : RETRY_MS, signal);
    if (state.cache !== null && !signal.aborted) {
      const scope = widest(woken, dueScope(state, effects.now())) ?? (await verify());
      if (scope !== undefined) {
        await runStep(state.cache, state.policies, scope);
      }
    }
  }
  await stepper.charon().catch(() => undefined);
}
