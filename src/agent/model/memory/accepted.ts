import type { KnownItems } from '../../../cluster/policies/items.ts';
import type { Accepted } from '../../../rundir/accepted.ts';
import type { NodeCache } from '../../../rundir/schema.ts';
import { DEPARTED_MS } from '../departed.ts';
import { reachedByKey } from '../phases.ts';
import type { Model } from '../types.ts';

/** What the model remembers beside the cache that it made before. */
export type Memory = Pick<Model, 'knownItems' | 'withdrawn' | 'services' | 'reached'>;

/** The memory of an earlier agent; `now` is the time of this agent's clock. */
export function memoryFrom(accepted: Accepted | null, now: number): Memory {
  const { items = [], withdrawn = [], services = [], reached = [], writtenAt = now } = accepted ?? {};
  const anew = <T extends { readonly until?: number | undefined }>(one: T): T =>
    one.until === undefined ? one : { ...one, until: anchored(one.until, { writtenAt, now }) };
  const known: KnownItems = new Map(items.map((item) => [`${item.policy}/${item.name}`, item]));
  return {
    knownItems: known,
    withdrawn: new Map(withdrawn.map(anew).map((item) => [`${item.policy}/${item.name}`, item])),
    services: new Map(
      services.map(({ gone, ...service }) => [
        `${service.namespace}/${service.name}`,
        gone === undefined ? service : { ...service, gone: anew(gone) },
      ]),
    ),
    reached: reachedByKey(reached.map(anew)),
  };
}

/** The cache of an earlier agent, with its limits by this agent's clock. */
export function cacheAnew(cache: NodeCache | null, now: number): NodeCache | null {
  if (cache === null) {
    return null;
  }
  const { writtenAt, node, departed } = cache;
  const anew = <T extends { readonly until: number }>(one: T): T => ({
    ...one,
    until: anchored(one.until, { writtenAt, now }),
  });
  const formerCidrs = node.formerCidrs?.map(anew);
  return {
    ...cache,
    node: formerCidrs === undefined ? node : { ...node, formerCidrs },
    ...(departed === undefined ? {} : { departed: departed.map(anew) }),
  };
}

/**
 * A limit of an earlier agent by the clock of this one: what was left when the file was written is left now,
 * since nobody knows how long no agent ran, and whether the wall clock was set meanwhile. What makes no sense
 * is left whole: never is something forgotten at once, or kept for ever.
 */
function anchored(until: number, { writtenAt, now }: { writtenAt: number; now: number }): number {
  const left = until - writtenAt;
  return now + (left > 0 && left <= DEPARTED_MS ? left : DEPARTED_MS);
}

/** The memory as the file has it. */
export function acceptedFrom(
  { knownItems, withdrawn, services, reached }: Memory,
  writtenAt: number,
): Accepted {
  return {
    schema: 1,
    writtenAt,
    items: [...knownItems.values()].map(({ specs, ...item }) => ({ ...item, specs: [...specs] })),
    ...(withdrawn.size === 0
      ? {}
      : { withdrawn: [...withdrawn.values()].map(({ specs, ...item }) => ({ ...item, specs: [...specs] })) }),
    services: [...services.values()],
    reached: [...reached.values()],
  };
}
