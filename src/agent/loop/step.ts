import { planConnections } from '../../ipsec/plan/connections.ts';
import { sameGround } from '../../ipsec/plan/plan.ts';
import type { ConnectionConfig } from '../../ipsec/plan/types.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import type { Enforced } from '../kernel/enforce.ts';

/**
 * How long the kernel waits for charon to learn of new children; milliseconds. A first packet that meets a
 * policy whose child charon does not know waits until the acquire expires.
 */
const LOAD_GRACE_MS = 250;

/** What a step does to charon. */
export interface StepEffects {
  /** Teaches charon what is new or changed; takes nothing away. */
  loadConnections(connections: readonly ConnectionConfig[]): Promise<void>;
  /** Unloads what is no longer planned and ends its SAs. */
  pruneConnections(connections: readonly ConnectionConfig[]): Promise<void>;
  sleep(ms: number): Promise<void>;
}

/** Brings charon and the kernel in step with one cache after the other. */
export interface Stepper {
  /**
   * In this order: charon learns new children, the kernel is enforced, charon forgets old children. Resolves
   * when the kernel is in step; a charon that is away or slow never holds the kernel back. Throws what
   * `enforce` throws; charon then forgets nothing.
   */
  step(cache: NodeCache, enforce: (cache: NodeCache) => Promise<Enforced>): Promise<Enforced>;
  /**
   * Resolves when charon is done with the last step, too; to false if a later step has taken over charon's
   * part of it. Throws why charon is not in step.
   */
  charon(): Promise<boolean>;
}

export function createStepper({ loadConnections, pruneConnections, sleep }: StepEffects): Stepper {
  let charon: Promise<boolean> = Promise.resolve(true);
  /** Resolves when charon is free for the next step. */
  let free: Promise<unknown> = charon;
  let latest = 0;
  let planned: { cache: NodeCache; readonly connections: readonly ConnectionConfig[] } | undefined;
  /** The same objects as long as nothing that they are made from has changed. */
  const connectionsOf = (cache: NodeCache): readonly ConnectionConfig[] => {
    const same = planned !== undefined && sameGround(planned.cache, cache);
    planned = { cache, connections: same && planned ? planned.connections : planConnections(cache) };
    return planned.connections;
  };
  const ended = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);
  return {
    async step(cache, enforce) {
      const connections = connectionsOf(cache);
      latest += 1;
      const turn = latest;
      // A step must not load before the one before it has pruned. Of the steps that wait, only the last one
      // does its part of charon.
      const begins = free.then(() => turn === latest);
      const loading = begins.then((mine) => (mine ? loadConnections(connections) : undefined));
      const kernel = Promise.race([ended(loading), sleep(LOAD_GRACE_MS)]).then(() => enforce(cache));
      const work = loading
        .then(() => kernel)
        .then(async () => ((await begins) ? await pruneConnections(connections) : undefined));
      free = ended(work);
      charon = work.then(() => begins);
      charon.catch(() => undefined);
      return await kernel;
    },
    charon: () => charon,
  };
}
