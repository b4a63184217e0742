import * as z from 'zod';
import { firstOf, shown } from '../../util/printable.ts';
import { BOUNDS } from '../bounds.ts';
import type { IPsecPolicy } from '../objects.ts';
import type { ObjectProblem } from '../snapshot.ts';
import { type PortSpec, parsePorts } from './ports.ts';

/** An item (an element of `spec.policies` of an IPsecPolicy) that is valid. */
export interface PolicyItem {
  readonly policy: string;
  /** Of the policy; absent if it is from a file. */
  readonly uid?: string | undefined;
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
  /** Items that are refused and of which no good form is known, `<policy>/<item>`. */
  readonly strange: readonly string[];
}

/** How many items a problem names. */
const NAMED = 5;
const NAME = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;
const nameOr = (wildcard: boolean): z.ZodString =>
  z.string().refine((value) => NAME.test(value) || (wildcard && value === '*'), {
    error: (issue) =>
      `${shown(issue.input, BOUNDS.charactersPerValue)} is not a name of lower-case letters, digits, "-" and "."`,
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
  { readonly policies: readonly IPsecPolicy[]; readonly unread: Names; readonly parsed: ParsedItems }
>();
type Names = ReadonlySet<string>;
const NONE: Names = new Set();

/**
 * The items of all policies. An item that is refused spoils no other, and keeps the good form that it has in
 * `before`. Items are withdrawn by a generation of their policy that is valid as a whole and lacks them, or
 * if it goes. Another policy of its name counts as a generation: most of these are meant as an edit, as with
 * `kubectl replace --force`. `unread` names policies that are there although nobody can read them, or not as
 * a whole: what a source read of them may lack items. Problems name the field and the value. A call with the
 * same lists, and with the `known` of the call before, returns the very result of that call.
 */
export function parseItems(
  policies: readonly IPsecPolicy[],
  before: KnownItems,
  unread: Names = NONE,
): ParsedItems {
  const last = lastCalls.get(before);
  if (last?.policies === policies && last.unread === unread) {
    return last.parsed;
  }
  const parsed = parseAll(policies, before, unread);
  lastCalls.set(before, { policies, unread, parsed });
  lastCalls.set(parsed.known, { policies, unread, parsed });
  return parsed;
}

function parseAll(policies: readonly IPsecPolicy[], before: KnownItems, unread: Names): ParsedItems {
  const known: [string, PolicyItem][] = [];
  const problems: ObjectProblem[] = [];
  const strange: string[] = [];
  const formerOf = Map.groupBy(before, ([, { policy }]) => policy);
  const read = new Map(policies.map((policy) => [policy.metadata.name, policy]));
  for (const name of [...new Set([...read.keys(), ...unread])].sort()) {
    const policy = read.get(name);
    const former = formerOf.get(name) ?? [];
    if (policy !== undefined) {
      const parsed = parsePolicy(policy, new Map(former), !unread.has(name));
      known.push(...parsed.items);
      problems.push(...parsed.problems);
      strange.push(...parsed.strange);
    } else if (former.length > 0) {
      known.push(...former);
      const message = 'cannot be read: what it said before stays in force';
      problems.push({ where: `IPsecPolicy ${name}`, message });
    }
  }
  return { items: known.map(([, item]) => item), known: new Map(known), problems, strange };
}

function parsePolicy(
  { metadata, spec }: IPsecPolicy,
  former: KnownItems,
  whole: boolean,
): Pick<ParsedItems, 'problems' | 'strange'> & { readonly items: ReadonlyMap<string, PolicyItem> } {
  const where = `IPsecPolicy ${metadata.name}`;
  const items = new Map<string, PolicyItem>();
  const refused: { readonly message: string; readonly key: string }[] = [];
  const listed = spec?.policies;
  if (listed === undefined && former.size > 0) {
    refused.push({ message: 'spec.policies: is missing', key: '' });
  }
  for (const [index, raw] of (listed ?? []).entries()) {
    const parsed = parseItem(metadata, raw);
    const name = nameOf(raw);
    const key = `${metadata.name}/${name}`;
    const field = `spec.policies[${index}]`;
    if (typeof parsed === 'string') {
      refused.push({ message: `${field}${parsed}`, key });
    } else if (items.has(key)) {
      refused.push({ message: `${field}.name: ${JSON.stringify(name)} is used twice`, key: '' });
    } else {
      items.set(key, parsed);
    }
  }
  const lacking = [...former].filter(([key]) => !items.has(key));
  // Those of the newest generations come first: what edits leave behind does not grow for ever.
  const kept = refused.length === 0 && whole ? [] : lacking.slice(0, BOUNDS.itemsPerPolicy);
  const named = new Set(refused.map(({ key }) => key));
  const problems = refused.map(({ message, key }) => {
    const stays = kept.some(([one]) => one === key) ? '; what it said before stays in force' : '';
    return { where, message: `${message}${stays}` };
  });
  const others = kept.filter(([key]) => !named.has(key)).map(([, { name }]) => name);
  if (others.length > 0) {
    const why = refused.length > 0 ? 'has items that are refused' : 'is not read as a whole';
    const message = `spec.policies: ${firstOf(others, NAMED)}: not withdrawn, since the policy ${why}`;
    problems.push({ where, message });
  }
  const all = new Map([...items, ...kept]);
  const strange = [...named].filter((key) => key !== '' && !all.has(key));
  return { items: all, problems, strange };
}

const nameSchema = z.object({ name: z.string().catch('') }).catch({ name: '' });

function nameOf(raw: unknown): string {
  return nameSchema.parse(raw).name;
}

/** The item, or why not: `.<field>: <reason>`. */
function parseItem({ name: policy, uid }: IPsecPolicy['metadata'], raw: unknown): PolicyItem | string {
  const parsed = itemSchema.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = (issue?.path ?? []).map((part) => `.${String(part)}`).join('');
    return `${path}: ${issue?.message}`;
  }
  const { name, servicename, servicens, serviceports } = parsed.data;
  if (servicens === '*' && servicename !== '*') {
    return `.servicens: "*" needs servicename "*", not ${shown(servicename, BOUNDS.charactersPerValue)}`;
  }
  const ports = parsePorts(serviceports);
  return ports.kind === 'refused'
    ? `.serviceports: ${shown(serviceports, BOUNDS.charactersPerValue)} ${ports.reason}`
    : {
        policy,
        ...(uid === undefined ? {} : { uid }),
        name,
        namespace: servicens,
        service: servicename,
        specs: ports.specs,
      };
}
