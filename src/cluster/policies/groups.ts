import { createHash } from 'node:crypto';
import { WIDE_CARRIER } from '../../ipsec/plan/child.ts';
import { isEveryPort } from '../../ipsec/plan/ports.ts';
import { BOUNDS } from '../bounds.ts';
import type { Service } from '../objects.ts';
import type { ObjectProblem } from '../snapshot.ts';
import type { PolicyItem } from './items.ts';
import type { PolicySpec } from './service-ports.ts';
import { servicesOf } from './wildcards.ts';

/** What becomes an entry: one Service, with the ports of all items that name it by the same item name. */
export interface Group {
  readonly policy: string;
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
  readonly specs: readonly PolicySpec[];
  /** Place of its first item among the items of all policies. */
  readonly rank: number;
  /** As the entry's in the node cache. */
  readonly carrier?: string;
}

export interface Grouped {
  readonly groups: readonly Group[];
  /** Which items have more Services, or come after more items, than can have children of their own. */
  readonly coarsened: readonly ObjectProblem[];
}

interface Draft extends Group {
  readonly specs: PolicySpec[];
  /** An item names the Service itself, not `*`. */
  readonly explicit: boolean;
}

/**
 * One group for each Service and item name, with a name that no other group has, and the children that carry
 * it. Items come from the cluster's administrator, Services from whoever may write into their namespace: what
 * the items say alone decides on names and children wherever two namespaces meet.
 */
export function groupItems(items: readonly PolicyItem[], services: readonly Service[]): Grouped {
  const drafts = new Map<string, Draft>();
  for (const [rank, item] of items.entries()) {
    const whole = needsWholeName(item, items);
    for (const service of item.namespace === '*' ? [] : targetsOf(item, services)) {
      const name = nameOf(item, service, whole);
      const key = `${name} ${item.namespace}/${service}`;
      const { policy, namespace } = item;
      const before = drafts.get(key);
      const explicit = item.service !== '*' || before?.explicit === true;
      const draft = {
        policy,
        name,
        namespace,
        service,
        rank,
        ...before,
        specs: before?.specs ?? [],
        explicit,
      };
      draft.specs.push(...item.specs.map((spec) => ({ ...spec, policy })));
      drafts.set(key, draft);
    }
  }
  const { carriers, coarsened } = carriersOf(items, services);
  const groups = uniqueNames(drafts).map(({ explicit, ...group }) => {
    const first = items[group.rank];
    const carrier = first === undefined ? undefined : carriers.get(keyOf(first));
    return carrier === undefined ? group : { ...group, carrier };
  });
  return { groups, coarsened };
}

function targetsOf({ namespace, service }: PolicyItem, services: readonly Service[]): string[] {
  return service === '*' ? servicesOf(namespace, services) : [service];
}

/** The name of a Service's entry; `whole`: with namespace and Service. */
function nameOf(item: PolicyItem, service: string, whole: boolean): string {
  const base = item.service === '*' ? `${item.name}.${service}` : item.name;
  return fitting(whole ? `${item.name}.${item.namespace}.${service}` : base);
}

/**
 * Whether other items could give the same name to an entry: because they have the same name and mean another
 * Service, or because both are for every Service of a namespace and the name of one continues the other's.
 */
function needsWholeName(item: PolicyItem, items: readonly PolicyItem[]): boolean {
  const { name, namespace, service } = item;
  return items.some(
    (other) =>
      (other.name === name && (other.namespace !== namespace || other.service !== service)) ||
      (service === '*' && other.service === '*' && other.namespace !== namespace && nested(item, other)),
  );
}

function nested(a: PolicyItem, b: PolicyItem): boolean {
  return a.name.startsWith(`${b.name}.`) || b.name.startsWith(`${a.name}.`);
}

/**
 * A group may have the name of another one: an item `web.api`, and an item `web` for every Service, of which
 * one is `api`. Groups of items that name their Service keep their names, whatever Services there are; the
 * others give way.
 */
function uniqueNames(drafts: ReadonlyMap<string, Draft>): Draft[] {
  const names = new Set<string>();
  return [...drafts]
    .sort(([a, one], [b, other]) => Number(other.explicit) - Number(one.explicit) || (a < b ? -1 : 1))
    .map(([, draft]) => {
      let name = draft.name;
      while (names.has(name)) {
        name = fitting(`${name}.${draft.namespace}.${draft.service}`);
      }
      names.add(name);
      return { ...draft, name };
    });
}

/** A longer name is cut, and a checksum of it added: VICI's names have at most 255 bytes. */
function fitting(name: string): string {
  const most = BOUNDS.entryName;
  return name.length <= most
    ? name
    : `${name.slice(0, most - 9)}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
}

/** What is named alike for the same Services counts as one item. */
const keyOf = ({ name, namespace, service }: PolicyItem): string => `${name} ${namespace}/${service}`;

const isWildcard = ({ namespace, service }: PolicyItem): boolean => service === '*' && namespace !== '*';

/** An item that needs children, with the number of its protocols. */
interface Needing {
  readonly item: PolicyItem;
  readonly protocols: number;
}

/**
 * Which items' entries go through other children than those of their own, by `keyOf`. Each item has one child
 * for each of its protocols to itself; those after the bound have none and go through the wide children. What
 * is left is shared out evenly among the items for every Service of a namespace. Such an item with more
 * Services than its share has one child for all of them. So no Service makes the entries of another item go
 * elsewhere.
 */
function carriersOf(
  items: readonly PolicyItem[],
  services: readonly Service[],
): { readonly carriers: ReadonlyMap<string, string>; readonly coarsened: readonly ObjectProblem[] } {
  const carriers = new Map<string, string>();
  const coarsened: ObjectProblem[] = [];
  const needing = needingOf(items);
  const needed = needing.reduce((sum, { protocols }) => sum + protocols, 0);
  const wildcards = needing.filter(({ item }) => isWildcard(item)).length;
  const share = Math.max(0, BOUNDS.children - needed) / Math.max(1, wildcards);
  let used = 0;
  for (const { item, protocols } of needing) {
    used += protocols;
    const coarsen = (carrier: string, why: string): void => {
      carriers.set(keyOf(item), carrier);
      coarsened.push({ where: `IPsecPolicy ${item.policy}`, message: `item ${item.name}: ${why}` });
    };
    const count = isWildcard(item) ? targetsOf(item, services).length : 1;
    const most = Math.min(BOUNDS.servicesOfItem, Math.floor(1 + share / protocols));
    if (used > BOUNDS.children) {
      const why = `the items up to this one need more than ${BOUNDS.children} CHILD_SAs to a peer`;
      coarsen(WIDE_CARRIER, `${why}: its ports go through those of their whole protocols`);
    } else if (count > most) {
      // No entry has such a name: an underscore is in none.
      const carrier = fitting(`${item.name}_${item.namespace}`);
      const why = `${count} Services, of which at most ${most} could have CHILD_SAs of their own`;
      coarsen(carrier, `${why}: they share those of ${carrier}`);
    }
  }
  return { carriers, coarsened };
}

/** Protocols that are protected as a whole need no child of an item's own. */
function needingOf(items: readonly PolicyItem[]): Needing[] {
  const needing = new Map<string, { readonly item: PolicyItem; readonly protocols: Set<string> }>();
  for (const item of items) {
    const one = needing.get(keyOf(item)) ?? { item, protocols: new Set() };
    for (const { proto } of item.specs.filter(({ first }) => !isEveryPort(first))) {
      one.protocols.add(proto);
    }
    needing.set(keyOf(item), one);
  }
  return [...needing.values()]
    .map(({ item, protocols }) => ({ item, protocols: protocols.size }))
    .filter(({ protocols }) => protocols > 0);
}
