import { hasReached, type PolicyPhase, phaseAfter, type Reached } from '../cluster/contract/phases.ts';

/** How far the controller is with a generation of a policy, and since when (milliseconds since the epoch). */
export interface EnablingState {
  readonly uid: string;
  readonly generation: number;
  readonly phase: PolicyPhase;
  readonly since: number;
}

/** What a node that reports says of the generation; `none` if it says nothing of it. */
export interface NodePhase {
  readonly node: string;
  readonly reached: Reached;
}

/**
 * The phase after this moment: the next one when every node has reached the present one, or when that one has
 * lasted for `limitMs`. A phase never goes back; another generation begins with the first.
 */
export function nextPhase(
  before: EnablingState | undefined,
  { uid, generation }: { readonly uid: string; readonly generation: number },
  nodes: readonly NodePhase[],
  { now, limitMs }: { readonly now: number; readonly limitMs: number },
): EnablingState {
  if (before === undefined || before.uid !== uid || before.generation !== generation) {
    return { uid, generation, phase: 'Accepting', since: now };
  }
  if (before.since > now) {
    // The clock was set back.
    return nextPhase({ ...before, since: now }, { uid, generation }, nodes, { now, limitMs });
  }
  const all = nodes.length > 0 && nodes.every(({ reached }) => hasReached(reached, before.phase));
  const next = phaseAfter(before.phase);
  return next !== undefined && (all || now - before.since >= limitMs)
    ? { ...before, phase: next, since: now }
    : before;
}
