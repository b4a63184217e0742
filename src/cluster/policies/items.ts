import * as z from 'zod';
import type { IPsecPolicy, ObjectProblem } from '../objects.ts';
import { type PortSpec, parsePorts } from './ports.ts';

/** An item (an element of `spec.policies` of an IPsecPolicy) that is valid. */
export interface PolicyItem {
  readonly policy: string;
  readonly name: string;
  readonly namespace: string;
  /** `*` means every Service of the namespace. */
  readonly service: string;
  readonly specs: readonly PortSpec[];
}

/** The last good form of every item, by `<policy>/<item>`. */
export type KnownItems = ReadonlyMap<string, PolicyItem>;

export interface ParsedItems {
  readonly items: readonly PolicyItem[];
  /** For the next call. */
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

/** The last call with these items as `before`, or with these as its result. */
const lastCalls = new WeakMap<
  KnownItems,
  { readonly policies: readonly IPsecPolicy[]; readonly parsed: ParsedItems }
>();

/**
 * The items of all policies. An item that is refused spoils no other, and keeps the good form that it has in
 * `before`. Problems name the field and the value. A call with the same list of policies, and with the
 * `known` of the call before, returns the very result of that call.
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
  const accepted = new Map<string, PolicyItem>();
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
          accepted.set(key, previous);
        }
      } else if (accepted.has(key)) {
        problems.push({ where, message: `${field}.name: ${JSON.stringify(name)} is used twice` });
      } else {
        accepted.set(key, parsed);
      }
    }
  }
  return { items: [...accepted.values()], known: accepted, problems };
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
