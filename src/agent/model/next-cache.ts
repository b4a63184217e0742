import { CACHE_SCHEMA, type NodeCache, type NodeCacheContent, type OfWriter } from '../../rundir/schema.ts';
import { textOf } from '../../util/text.ts';

/**
 * The next value of the node cache. Its generation counts up with every change of content; its time is
 * renewed in any case. Parts that are equal to those of `current` are the same objects, so that others can
 * tell by identity what has changed.
 */
export function nextCache(current: NodeCache | null, content: NodeCacheContent, now: number): NodeCache {
  const kept = current === null ? content : keepEqual(current, content);
  const names = Object.keys({ ...current, ...kept }) as (keyof NodeCacheContent)[];
  const unchanged = names.every((name) => kept[name] === current?.[name] || OF_WRITER.has(name));
  const generation = (current?.generation ?? 0) + (unchanged ? 0 : 1);
  return { schema: CACHE_SCHEMA, generation, writtenAt: now, ...kept };
}

const OF_WRITER: ReadonlySet<string> = new Set<OfWriter>(['schema', 'generation', 'writtenAt', 'bootId']);

/** The model sorts contents, so equal contents have equal text. */
function keepEqual(current: NodeCache, content: NodeCacheContent): NodeCacheContent {
  const parts = Object.entries(content).map(([name, value]) => {
    const before = current[name as keyof NodeCacheContent];
    return [name, before === value || textOf(before) === textOf(value) ? before : value];
  });
  return Object.fromEntries(parts) as NodeCacheContent;
}
