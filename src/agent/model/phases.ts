import type { PhaseOf } from '../../cluster/policies/entries.ts';
import type { PolicyItem } from '../../cluster/policies/items.ts';
import { strongest } from '../../ipsec/plan/phase.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { CacheEntry } from '../../rundir/schema.ts';
import { memoized } from '../../util/memo.ts';
import type { ModelInput } from './types.ts';

type PhaseInput = Pick<ModelInput, 'phases' | 'previous'>;

const reachedIn = memoized(
  (entries: readonly CacheEntry[]) =>
    new Map<string, Phase>(
      entries.flatMap(({ name, ports }) =>
        ports.map(({ proto, target, phase }) => [keyOf(name, proto, target), phase ?? 'require'] as const),
      ),
    ),
);
const NONE: readonly CacheEntry[] = [];

/**
 * Returns the phase of a port: that of its policy, or the phase that this node has reached with the port
 * before if that one is further.
 */
export function phaseLookup({ phases, previous }: PhaseInput): PhaseOf {
  const reached = reachedIn(previous?.entries ?? NONE);
  return ({ policy, entry, proto, target }) => {
    const own = phases?.get(policy) ?? 'require';
    const before = reached.get(keyOf(entry, proto, target));
    return before === undefined ? own : strongest([own, before]);
  };
}

/**
 * The phase of all traffic between pods, as for a port. If single services were protected before, the phase
 * is `require`, since nothing of theirs may go back to plaintext.
 */
export function phaseOfMesh(items: readonly PolicyItem[], { phases, previous }: PhaseInput): Phase {
  const policies = items.filter(({ namespace }) => namespace === '*').map(({ policy }) => policy);
  const before: Phase[] = previous?.mesh === true ? [previous.meshPhase ?? 'require'] : [];
  if ((previous?.entries ?? []).length > 0) {
    return 'require';
  }
  return strongest([...policies.map((policy) => phases?.get(policy)), ...before]);
}

function keyOf(entry: string, proto: string, target: number | string): string {
  return `${entry} ${proto}/${typeof target}/${target}`;
}
