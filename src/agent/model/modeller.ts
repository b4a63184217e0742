import type { Snapshot } from '../../cluster/objects.ts';
import type { KnownItems } from '../../cluster/policies/items.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { createEnabling } from '../enabling/enabling.ts';
import { buildNodeCache } from './model.ts';
import type { Model, ModelInput } from './types.ts';

export interface ModellerOptions extends Pick<ModelInput, 'nodeName' | 'childSaScope'> {
  readonly nodeTraffic: boolean;
  readonly strict: boolean;
  readonly protectUnlisted: boolean;
  /** Seconds for which the controller waits for a node while a policy is being enabled. */
  readonly phaseLimitS: number;
}

/** One snapshot after the other; `previous`: the cache that was made before. Throws ModelError. */
export type Modeller = (
  snapshot: Snapshot,
  previous: NodeCache | null,
) => Model & { readonly phases: ReadonlyMap<string, Phase> };

/**
 * The model with a memory: it keeps the last good form of every item, so that an edit that breaks an item
 * does not unprotect it. `remembers`: an earlier agent has left a node cache.
 */
export function createModeller(options: ModellerOptions, remembers: boolean): Modeller {
  const { nodeName, childSaScope, nodeTraffic, strict, protectUnlisted } = options;
  const enabling = createEnabling(remembers, 1_000 * options.phaseLimitS, Date.now);
  let knownItems: KnownItems = new Map();
  return (snapshot, previous) => {
    const phases = enabling.phases(snapshot.objects.policies);
    const settings = { nodeName, childSaScope, nodeTraffic, strict, protectUnlisted };
    const model = buildNodeCache({
      ...settings,
      objects: snapshot.objects,
      previous,
      knownItems,
      phases,
      now: Date.now(),
    });
    knownItems = model.knownItems;
    return { ...model, phases };
  };
}
