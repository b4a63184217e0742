import * as z from 'zod';
import { compile } from './compile.ts';
import { type NodeCache, nodeCacheSchema } from './schema.ts';

/** What was to be written is no node cache: the model made something that nobody could read, or lay. */
export class CacheError extends Error {
  override readonly name = 'CacheError';
}

type Check = (value: unknown) => boolean;

/** Parts that have addresses, or whose elements have. */
const PLACES: ReadonlySet<string> = new Set([
  'node',
  'peers',
  'departed',
  'pods',
  'localEndpoints',
  'endpoints',
  'lost',
]);

const checks = Object.entries<z.ZodType>(nodeCacheSchema.shape).map(([name, schema]) => ({
  name,
  accepts: checkOf(name, schema),
}));

/** Parts, and elements of parts, that were accepted. Nobody changes them afterwards. */
const accepted = new WeakSet<object>();

/**
 * Throws CacheError, which names the field, if the schema refuses a part of the cache or if an address of it
 * is not in canonical form. What is the same object as in an earlier call is not looked at again.
 */
export function checkNodeCache(cache: NodeCache): void {
  for (const { name, accepts } of checks) {
    if (!accepts(cache[name as keyof NodeCache])) {
      const issue = nodeCacheSchema.safeParse(cache).error?.issues[0];
      throw new CacheError(
        issue === undefined
          ? `node cache: ${name}: ${misplacedIn(cache[name as keyof NodeCache])} is not in canonical form`
          : `node cache: ${issue.path.join('.')}: ${issue.message}`,
      );
    }
  }
}

/** A list is checked element by element, since an event changes few of them. */
function checkOf(name: string, schema: z.ZodType): Check {
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema;
  const accepts = compile(schema);
  const places = PLACES.has(name);
  const once = (check: Check): Check => {
    const whole: Check = (value) => check(value) && (!places || misplaced(value as Place) === undefined);
    return (value) => {
      if (typeof value !== 'object' || value === null) {
        return check(value);
      }
      const good = accepted.has(value) || whole(value);
      if (good) {
        accepted.add(value);
      }
      return good;
    };
  };
  if (!(inner instanceof z.ZodArray)) {
    return once(accepts);
  }
  const element = once(compile(inner.element as z.ZodType));
  return (value) => {
    if (!Array.isArray(value)) {
      return accepts(value);
    }
    const good = accepted.has(value) || value.every(element);
    if (good) {
      accepted.add(value);
    }
    return good;
  };
}

interface Place {
  readonly address?: string;
  readonly addresses?: readonly string[];
  readonly podCidrs?: readonly string[];
  readonly formerCidrs?: readonly { readonly cidr: string }[];
}

/** What `ip` reads in one way only: no blanks, no zone, no leading zero in a length. */
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{2,39})$/;
const CIDR = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{2,39})\/(?:0|[1-9]\d{0,2})$/;

/** The first address or CIDR that is not in canonical form. */
function misplaced({ address, addresses, podCidrs, formerCidrs }: Place): string | undefined {
  if (address !== undefined && !ADDRESS.test(address)) {
    return address;
  }
  return (
    addresses?.find((text) => !ADDRESS.test(text)) ??
    podCidrs?.find((text) => !CIDR.test(text)) ??
    formerCidrs?.find(({ cidr }) => !CIDR.test(cidr))?.cidr
  );
}

function misplacedIn(part: unknown): string {
  const places = [part].flat() as readonly Place[];
  return JSON.stringify(places.map(misplaced).find((text) => text !== undefined)) ?? 'a value';
}
