import type { Step } from './bundle.ts';

const MINUTE_MS = 60_000;

/**
 * A step as the ConfigMap keeps it, `<kind> <root> PT<minutes>M`: what it has waited, so that another leader
 * goes on with it. Empty if there is none.
 */
export function writeStep(step: Step | undefined): string {
  return step === undefined ? '' : `${step.kind} ${step.root} PT${Math.floor(step.waitedMs / MINUTE_MS)}M`;
}

/** What is no step reads as none: then its time begins anew. */
export function parseStep(text: string): Step | undefined {
  const [kind, root = '', time = ''] = text.split(' ');
  const [, minutes] = /^PT(\d{1,6})M$/.exec(time) ?? [];
  return (kind === 'trust' || kind === 'follow') && minutes !== undefined
    ? { kind, root, waitedMs: Number(minutes) * MINUTE_MS }
    : undefined;
}

/** Counts what a step has waited, in a process that lives. */
export interface StepCounter {
  /** The step that is stored, with the time that has passed since this process saw it first. */
  count(stored: Step | undefined): Step | undefined;
}

/**
 * Counts by `clock`, which is monotonic: when somebody sets the wall clock, no step ends early, and no node
 * is given up. While there is no leader nothing is counted.
 */
export function createStepCounter(clock: () => number): StepCounter {
  let last: { readonly kind: Step['kind']; readonly root: string; readonly began: number } | undefined;
  return {
    count(stored) {
      if (stored === undefined) {
        last = undefined;
        return undefined;
      }
      const { kind, root, waitedMs } = stored;
      const own = last?.kind === kind && last.root === root ? last.began : Number.POSITIVE_INFINITY;
      const began = Math.min(own, clock() - waitedMs);
      last = { kind, root, began };
      return { kind, root, waitedMs: clock() - began };
    },
  };
}
