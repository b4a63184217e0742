import type { PHASES } from '../agent/enabling/enabling.ts';
import type { Phase } from '../ipsec/plan/types.ts';

/** How far a generation of a policy is, and since when (milliseconds since the epoch). */
export interface EnablingState {
  readonly uid: string;
  readonly generation: number;
  readonly phase: keyof typeof PHASES;
  readonly since: number;
}

/** What a node says of the generation; undefined while it is silent or says nothing of it. */
export interface NodePhase {
  readonly node: string;
  readonly phase: Phase | undefined;
}

const ORDER = ['Accepting', 'Sending', 'Required'] as const;
const RANK: Readonly<Record<Phase, number>> = { accept: 0, send: 1, require: 2 };

/** The next phase: a step when every node has taken the one before, or when that has lasted `limitMs`. Never back. */
export function nextPhase(
  before: EnablingState | undefined,
  { uid, generation }: { readonly uid: string; readonly generation: number },
  nodes: readonly NodePhase[],
  { now, limitMs }: { readonly now: number; readonly limitMs: number },
): EnablingState {
  if (before === undefined || before.uid !== uid || before.generation !== generation) {
    return { uid, generation, phase: 'Accepting', since: now };
  }
  const rank = ORDER.indexOf(before.phase);
  const all = nodes.length > 0 && nodes.every(({ phase }) => phase !== undefined && RANK[phase] >= rank);
  const next = ORDER[rank + 1];
  return next !== undefined && (all || now - before.since >= limitMs)
    ? { ...before, phase: next, since: now }
    : before;
}
