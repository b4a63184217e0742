import * as z from 'zod';
import type { IPsecPolicy, ObjectProblem } from '../objects.ts';
import { type PortSpec, parsePorts } from './ports.ts';

/** One accepted item of an IPsecPolicy's `spec.policies`. */
export interface PolicyItem {
  readonly policy: string;
  readonly name: string;
  readonly namespace: string;
  /** `*`: every service of the namespace. */
  readonly service: string;
  readonly specs: readonly PortSpec[];
}

/** The last good form of every item, by `<policy>/<item>`. */
export type KnownItems = ReadonlyMap<string, PolicyItem>;

export interface ParsedItems {
  readonly items: readonly PolicyItem[];
  readonly known: KnownItems;
  readonly problems: readonly ObjectProblem[];
}

const NAME = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;
const nameOr = (wildcard: boolean): z.ZodString =>
  z.string().refine((value) => NAME.test(value) || (wildcard && value === '*'), {
    error: (issue) =>
      `${JSON.stringify(issue.input)} is not a name of lower-case letters, digits, "-" and "."`,
  });

const itemSchema = z.object({
  name: nameOr(false),
  servicename: nameOr(true),
  servicens: nameOr(true),
  serviceports: z.string(),
});

/** The last call, by what was known before it and by what is known since. */
const lastCalls = new WeakMap<
  KnownItems,
  { readonly policies: readonly IPsecPolicy[]; readonly parsed: ParsedItems }
>();

/**
 * The items of all policies. One that is refused spoils nothing else; if it had a good form before, that stays in force. Problems name
 * the field and the value. The same policies, with what they made known, give the same result.
 */
export function parseItems(policies: readonly IPsecPolicy[], before: KnownItems): ParsedItems {
  const last = lastCalls.get(before);
  if (last?.policies === policies) {
    return last.parsed;
  }
  const parsed = parseAll(policies, before);
  lastCalls.set(before, { policies, parsed });
  lastCalls.set(parsed.known, { policies, parsed });
  return parsed;
}

function parseAll(policies: readonly IPsecPolicy[], before: KnownItems): ParsedItems {
  const known = new Map<string, PolicyItem>();
  const problems: ObjectProblem[] = [];
  for (const policy of [...policies].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const where = `IPsecPolicy ${policy.metadata.name}`;
    for (const [index, raw] of (policy.spec?.policies ?? []).entries()) {
      const field = `spec.policies[${index}]`;
      const parsed = parseItem(policy.metadata.name, raw);
      const name = nameOf(raw);
      const key = `${policy.metadata.name}/${name}`;
      if (typeof parsed === 'string') {
        const previous = before.get(key);
        const kept = previous === undefined ? '' : '; what it said before stays in force';
        problems.push({ where, message: `${field}${parsed}${kept}` });
        if (previous !== undefined) {
          known.set(key, previous);
        }
      } else if (known.has(key)) {
        problems.push({ where, message: `${field}.name: ${JSON.stringify(name)} is used twice` });
      } else {
        known.set(key, parsed);
      }
    }
  }
  return { items: [...known.values()], known, problems };
}

const nameSchema = z.object({ name: z.string().catch('') }).catch({ name: '' });

function nameOf(raw: unknown): string {
  return nameSchema.parse(raw).name;
}

/** The item, or why not: `.<field>: <reason>`. */
function parseItem(policy: string, raw: unknown): PolicyItem | string {
  const parsed = itemSchema.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = (issue?.path ?? []).map((part) => `.${String(part)}`).join('');
    return `${path}: ${issue?.message}`;
  }
  const { name, servicename, servicens, serviceports } = parsed.data;
  if (servicens === '*' && servicename !== '*') {
    return `.servicens: "*" needs servicename "*", not ${JSON.stringify(servicename)}`;
  }
  const ports = parsePorts(serviceports);
  return ports.kind === 'refused'
    ? `.serviceports: ${JSON.stringify(serviceports)} ${ports.reason}`
    : { policy, name, namespace: servicens, service: servicename, specs: ports.specs };
}
