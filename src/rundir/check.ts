import type * as z from 'zod';
import { compile } from './compile.ts';
import { type NodeCache, nodeCacheSchema } from './schema.ts';

/** What was to be written is no node cache: the model made something that nobody could read, or lay. */
export class CacheError extends Error {
  override readonly name = 'CacheError';
}

const { shape } = nodeCacheSchema;
const checks = Object.entries<z.ZodType>(shape).map(([name, schema]) => ({ name, accepts: compile(schema) }));

/** Parts that were accepted. Nobody changes them afterwards. */
const accepted = new WeakSet<object>();

/** What `ip` reads in one way only: no blanks, no zone, no leading zero in a length. */
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{2,39})$/;
const CIDR = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{2,39})\/(?:0|[1-9]\d{0,2})$/;

/**
 * Throws CacheError, which names the field, if the schema refuses a part of the cache or if an address of it
 * is not in canonical form. A part that is the same object as in an earlier call is not looked at again.
 */
export function checkNodeCache(cache: NodeCache): void {
  for (const { name, accepts } of checks) {
    const part: unknown = cache[name as keyof NodeCache];
    const known = typeof part === 'object' && part !== null && accepted.has(part);
    if (!known && !accepts(part)) {
      const issue = nodeCacheSchema.safeParse(cache).error?.issues[0];
      throw new CacheError(`node cache: ${issue?.path.join('.') ?? name}: ${issue?.message ?? 'refused'}`);
    }
    if (!known && typeof part === 'object' && part !== null) {
      checkAddresses(name, part);
      accepted.add(part);
    }
  }
}

/** Parts whose elements have addresses. */
const PLACES: ReadonlySet<string> = new Set([
  'node',
  'peers',
  'departed',
  'pods',
  'localEndpoints',
  'endpoints',
]);

interface Place {
  readonly address?: string;
  readonly addresses?: readonly string[];
  readonly podCidrs?: readonly string[];
  readonly formerCidrs?: readonly { readonly cidr: string }[];
}

function checkAddresses(part: string, value: object): void {
  if (!PLACES.has(part)) {
    return;
  }
  const places: readonly Place[] = Array.isArray(value) ? value : [value];
  for (const [index, { address, addresses = [], podCidrs = [], formerCidrs = [] }] of places.entries()) {
    const wrong =
      (address === undefined || ADDRESS.test(address) ? undefined : address) ??
      addresses.find((text) => !ADDRESS.test(text)) ??
      [...podCidrs, ...formerCidrs.map(({ cidr }) => cidr)].find((text) => !CIDR.test(text));
    if (wrong !== undefined) {
      throw new CacheError(`node cache: ${part}.${index}: ${JSON.stringify(wrong)} is not in canonical form`);
    }
  }
}
