/**
 * What IPsecPolicies mean in this cluster. `items.ts` checks the items of all policies, `ports.ts` reads
 * their ports, `service-ports.ts` finds the target ports that those mean, `groups.ts` says which Services
 * become entries, of what name, `entry.ts` makes one, and here they are put together. All of it is pure but
 * for caches of results: the same objects give the same answer. The room imports objects of the cluster and
 * types of plan and cache, and touches nothing.
 */

import type { CacheEntry } from '../../rundir/schema.ts';
import { memoized, sameElements } from '../../util/memo.ts';
import { type EndpointSlice, SERVICE_NAME_LABEL, type Service } from '../objects.ts';
import type { ObjectProblem } from '../snapshot.ts';
import { type ModelEntry, type PhaseOf, type Resolved, resolve } from './entry.ts';
import { type Group, groupItems } from './groups.ts';
import { shareRoom } from './item-room.ts';
import type { PolicyItem } from './items.ts';
import { problemsOfItem } from './remarks.ts';
import { wildcardProblems } from './wildcards.ts';

export interface ResolvedEntries {
  /** Sorted by name. */
  readonly entries: readonly ModelEntry[];
  /** True if an item names every Service of every namespace: then all traffic between pods is protected. */
  readonly mesh: boolean;
  readonly problems: readonly ObjectProblem[];
  /** Items whose entries share children because there would be too many otherwise. */
  readonly coarsened: readonly ObjectProblem[];
}

export interface ServiceObjects {
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
}

const REQUIRED: PhaseOf = () => 'require';

const groupsOf = memoized(groupItems);
const byName = memoized(
  (services: readonly Service[]) => new Map(services.map((each) => [nameOf(each.metadata), each])),
);

/** The last result for each group: nearly all entries are the same after an event. */
const remembered = new WeakMap<Group, Resolved>();

/**
 * One entry for each Service that an item names, with the target ports that the item's numbers mean. Problems
 * name Services and ports that do not exist.
 */
export function resolveEntries(
  items: readonly PolicyItem[],
  objects: ServiceObjects,
  phaseOf: PhaseOf = REQUIRED,
): ResolvedEntries {
  const problems: ObjectProblem[] = [];
  const found: (Resolved & Pick<Service, 'metadata'> & Pick<CacheEntry, 'ports'>)[] = [];
  const services = byName(objects.services);
  const slicesByService = Map.groupBy(objects.endpointSlices, ({ metadata }) =>
    nameOf({ ...metadata, name: metadata.labels?.[SERVICE_NAME_LABEL] ?? '' }),
  );
  const { groups, coarsened } = groupsOf(items, objects.services);
  for (const group of groups) {
    const { namespace, service: serviceName } = group;
    const service = services.get(`${namespace}/${serviceName}`);
    if (service === undefined) {
      problems.push({
        where: `IPsecPolicy ${group.policy}`,
        message: `ServiceNotFound: ${namespace}/${serviceName}`,
      });
      continue;
    }
    const slices = slicesByService.get(`${namespace}/${serviceName}`) ?? [];
    const before = remembered.get(group);
    const same =
      before !== undefined &&
      sameElements(before.slices, slices) &&
      before.phases.every(({ port, phase }) => phaseOf(port) === phase);
    const resolved = same ? before : resolve(group, { service, slices, phaseOf });
    remembered.set(group, resolved);
    found.push({ metadata: service.metadata, ports: resolved.model.entry.ports, ...resolved });
  }
  for (const [rank, ofItem] of Map.groupBy(found, ({ model }) => model.rank)) {
    const remarks = ofItem
      .map((one) => one.remarks)
      .filter((one) => one.missing.length + one.others.length > 0);
    problems.push(...problemsOfItem(items[rank]?.policy ?? '', remarks));
  }
  const { shared, crowded } = shareRooms(items, found);
  const entries = found.map(({ model }) => shared.get(model) ?? model);
  problems.push(...crowded);
  problems.push(...wildcardProblems(items, objects.services));
  const mesh = items.some(({ namespace, service }) => namespace === '*' && service === '*');
  entries.sort((a, b) => (a.entry.name < b.entry.name ? -1 : 1));
  return { entries, mesh, problems, coarsened };
}

/** The last cut of each entry for which its item has too little room. */
const cuts = new WeakMap<ModelEntry, { readonly used: string; readonly cut: ModelEntry }>();

/** Entries of which less counts, as their items for every Service of a namespace have no room for more. */
function shareRooms(
  items: readonly PolicyItem[],
  found: readonly (Resolved & Pick<Service, 'metadata'> & Pick<CacheEntry, 'ports'>)[],
): { readonly shared: ReadonlyMap<ModelEntry, ModelEntry>; readonly crowded: readonly ObjectProblem[] } {
  const shared = new Map<ModelEntry, ModelEntry>();
  const crowded: ObjectProblem[] = [];
  for (const [rank, services] of Map.groupBy(found, ({ model }) => model.rank)) {
    const item = items[rank];
    const cutHere = item?.service === '*' ? shareRoom(services) : new Map<never, never>();
    for (const [{ model }, { slices, rest, used }] of cutHere) {
      const key = JSON.stringify(used);
      const before = cuts.get(model);
      const cut = before?.used === key ? before.cut : { ...model, slices, rest, beyond: true };
      cuts.set(model, { used: key, cut });
      shared.set(model, cut);
    }
    if (item !== undefined && cutHere.size > 0) {
      crowded.push({
        where: `IPsecPolicy ${item.policy}`,
        message: `item ${item.name}: the Services of ${item.namespace} have too many addresses and ports: of ${cutHere.size} of them not all addresses are protected one by one; the numbers of their ports are protected at all pods of other nodes`,
      });
    }
  }
  return { shared, crowded };
}

const nameOf = ({ name, namespace = 'default' }: Service['metadata']): string => `${namespace}/${name}`;
