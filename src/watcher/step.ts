import type { NodeCache, NodeCacheContent } from '../cache/schema.ts';
import { CACHE_SCHEMA } from '../cache/schema.ts';
import { textOf } from '../cache/text.ts';
import { planConnections } from '../ipsec/connections.ts';
import type { ConnectionConfig } from '../ipsec/types.ts';
import type { Enforced } from './enforce.ts';

/** How long the kernel waits for charon to learn of new children. Without them a first packet would wait for the acquire to expire. */
const LOAD_GRACE_MS = 250;

/** What one reconcile step does to the node, in the order in which it is called. */
export interface StepEffects {
  /** Teaches charon what is new or changed; takes nothing away. */
  loadConnections(connections: readonly ConnectionConfig[]): Promise<void>;
  /** Writes the cache and brings the kernel in step, both under the lock. */
  enforce(cache: NodeCache): Promise<Enforced>;
  /** Unloads what is no longer planned and ends its SAs. */
  pruneConnections(connections: readonly ConnectionConfig[]): Promise<void>;
  sleep(ms: number): Promise<void>;
}

/**
 * Brings the node in step with the cache: charon learns new children first, then the kernel, then charon forgets old ones. charon
 * being away or slow never holds back the kernel. Throws what `enforce` throws, and charon's error after the kernel is done.
 */
export async function step(cache: NodeCache, effects: StepEffects): Promise<Enforced> {
  const connections = planConnections(cache);
  const loading = effects.loadConnections(connections);
  const settled = loading.catch(() => undefined);
  await Promise.race([settled, effects.sleep(LOAD_GRACE_MS)]);
  const enforced = await effects.enforce(cache);
  await loading;
  await effects.pruneConnections(connections);
  return enforced;
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
