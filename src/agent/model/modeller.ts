import type { ClusterObjects, NamedService, Snapshot } from '../../cluster/snapshot.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { Accepted } from '../../rundir/accepted.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { steadyClock } from '../../util/steady-clock.ts';
import { createEnabling } from '../enabling/enabling.ts';
import { acceptedFrom, cacheAnew, type Memory, memoryFrom } from './memory/accepted.ts';
import { createBeliefs, withHeldLists } from './memory/held.ts';
import { nextEnd } from './memory/until.ts';
import { buildNodeCache } from './model.ts';
import type { Model, ModelInput } from './types.ts';

export interface ModellerOptions extends Pick<ModelInput, 'nodeName' | 'childSaScope'> {
  readonly nodeTraffic: boolean;
  readonly strict: boolean;
  readonly protectUnlisted: boolean;
  /** Seconds for which the controller waits for a node while a policy is being enabled. */
  readonly phaseLimitS: number;
}

/** What an earlier agent has left, and where this one leaves it. */
export interface Remembered {
  /** Whether there is a node cache. */
  readonly cache: boolean;
  readonly accepted: Accepted | null;
  /** Called when what is accepted has changed, before it is in force; false if it could not be kept. */
  readonly keep: (accepted: Accepted) => boolean;
  /** Milliseconds since the epoch, by a clock that never jumps. */
  readonly now?: () => number;
}

export interface Modeller {
  /** One snapshot after the other; `previous`: the cache that was made before. Throws ModelError. */
  readonly model: (snapshot: Snapshot, previous: NodeCache | null) => Modelled;
  /** What the items that are in force name. */
  readonly inForce: () => readonly NamedService[];
}

type Modelled = Pick<Model, 'content' | 'problems'> & {
  readonly phases: ReadonlyMap<string, Phase>;
  /** Whether something has ended by time since, so that another result is due. */
  readonly due: () => boolean;
};

/**
 * The model with a memory: what was accepted once stays in force until it is withdrawn, through restarts of
 * the agent as well (docs/design.md, What was accepted).
 */
export function createModeller(options: ModellerOptions, remembered: Remembered): Modeller {
  const { nodeName, childSaScope, nodeTraffic, strict, protectUnlisted } = options;
  const { now = steadyClock(), keep } = remembered;
  const enabling = createEnabling(remembered.cache, 1_000 * options.phaseLimitS, now);
  const beliefs = createBeliefs();
  const settings = { nodeName, childSaScope, nodeTraffic, strict, protectUnlisted };
  let memory: Memory = memoryFrom(remembered.accepted, now());
  /** What the file says. */
  let kept = memory;
  /** Undefined until the first snapshot has been understood. */
  let seen: ClusterObjects | undefined;

  return {
    inForce: () => [...memory.knownItems.values()],
    model: (snapshot, given) => {
      const at = now();
      const previous = seen === undefined ? cacheAnew(given, at) : given;
      const { unread, held } = beliefs.believe(snapshot, { memory, previous, seen }, at);
      const objects = withHeldLists(snapshot.objects, seen, held);
      const phases = enabling.phases(objects.policies);
      const { content, problems, ...next } = buildNodeCache({
        ...settings,
        ...memory,
        objects,
        previous,
        phases,
        now: at,
        unread,
        held,
      });
      seen = objects;
      if (!sameMemory(kept, next) && keep(acceptedFrom(next, at))) {
        kept = next;
      }
      memory = next;
      const end = nextEnd(content, memory);
      return {
        content,
        problems: [...beliefs.problems(), ...problems],
        phases,
        due: () => now() >= end || beliefs.ended(now()),
      };
    },
  };
}

/** Services and ports are the same objects if nothing has changed; items are made anew with each list. */
function sameMemory(a: Memory, b: Memory): boolean {
  const text = ({ knownItems }: Memory): string => JSON.stringify([...knownItems]);
  return (
    a.withdrawn === b.withdrawn &&
    a.services === b.services &&
    a.reached === b.reached &&
    (a.knownItems === b.knownItems || text(a) === text(b))
  );
}
