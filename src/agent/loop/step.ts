import { planConnections } from '../../ipsec/plan/connections.ts';
import { sameGround } from '../../ipsec/plan/plan.ts';
import type { ConnectionConfig } from '../../ipsec/plan/types.ts';
import type { NodeCache, NodeCacheContent } from '../../rundir/schema.ts';
import { CACHE_SCHEMA } from '../../rundir/schema.ts';
import { textOf } from '../../util/text.ts';
import type { Enforced } from '../kernel/enforce.ts';

/** How long the kernel waits for charon to learn of new children. Without them a first packet would wait for the acquire to expire. */
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
   * charon learns new children first, then the kernel, then charon forgets old ones. Resolves when the kernel is in step: charon being away
   * or slow never holds it back. Throws what `enforce` throws; charon then forgets nothing.
   */
  step(cache: NodeCache, enforce: (cache: NodeCache) => Promise<Enforced>): Promise<Enforced>;
  /** Resolves when charon is done with the last step, too; to false if that was left to one that has come since. Throws why it is not. */
  charon(): Promise<boolean>;
}

export function createStepper({ loadConnections, pruneConnections, sleep }: StepEffects): Stepper {
  let charon: Promise<boolean> = Promise.resolve(true);
  /** Settles when charon is free for the next step. */
  let free: Promise<unknown> = charon;
  let latest = 0;
  let planned: { cache: NodeCache; readonly connections: readonly ConnectionConfig[] } | undefined;
  /** The same objects as long as nothing that they are made from has changed. */
  const connectionsOf = (cache: NodeCache): readonly ConnectionConfig[] => {
    const same = planned !== undefined && sameGround(planned.cache, cache);
    planned = { cache, connections: same && planned ? planned.connections : planConnections(cache) };
    return planned.connections;
  };
  const settled = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);
  return {
    async step(cache, enforce) {
      const connections = connectionsOf(cache);
      latest += 1;
      const turn = latest;
      // What one step prunes is not what the next one has loaded; of those that wait only the last one has anything to do.
      const begins = free.then(() => turn === latest);
      const loading = begins.then((mine) => (mine ? loadConnections(connections) : undefined));
      const kernel = Promise.race([settled(loading), sleep(LOAD_GRACE_MS)]).then(() => enforce(cache));
      const work = loading
        .then(() => kernel)
        .then(async () => ((await begins) ? await pruneConnections(connections) : undefined));
      free = settled(work);
      charon = work.then(() => begins);
      charon.catch(() => undefined);
      return await kernel;
    },
    charon: () => charon,
  };
}

/**
 * The next value of the cache: the generation counts up with every change of content, the time is renewed in any case.
 */
export function nextCache(current: NodeCache | null, content: NodeCacheContent, now: number): NodeCache {
  const kept = current === null ? content : keepEqual(current, content);
  const names = Object.keys({ ...current, ...kept }) as (keyof NodeCacheContent)[];
  const unchanged = names.every((name) => kept[name] === current?.[name] || OF_WRITER.has(name));
  const generation = (current?.generation ?? 0) + (unchanged ? 0 : 1);
  return { schema: CACHE_SCHEMA, generation, writtenAt: now, ...kept };
}

const OF_WRITER: ReadonlySet<string> = new Set(['schema', 'generation', 'writtenAt']);

/** Parts that are equal stay the same objects. Contents are sorted by the model, so equal contents have equal text. */
function keepEqual(current: NodeCache, content: NodeCacheContent): NodeCacheContent {
  const parts = Object.entries(content).map(([name, value]) => {
    const before = current[name as keyof NodeCacheContent];
    return [name, before === value || textOf(before) === textOf(value) ? before : value];
  });
  return Object.fromEntries(parts) as NodeCacheContent;
}
