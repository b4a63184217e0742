/**
 * What IPsecPolicies mean in this cluster. `items.ts` checks the items of all policies, `ports.ts` reads
 * their ports, `service-ports.ts` finds the target ports that those mean, `groups.ts` says which Services
 * become entries, of what name, and here they do. All of it is pure but for caches of results: the same
 * objects give the same answer. The room imports objects of the cluster and types of plan and cache, and
 * touches nothing.
 */

import type { Phase, Protocol } from '../../ipsec/plan/types.ts';
import type { CacheEntry } from '../../rundir/schema.ts';
import { memoized, sameElements } from '../../util/memo.ts';
import { BOUNDS } from '../bounds.ts';
import { type EndpointSlice, SERVICE_NAME_LABEL, type Service } from '../objects.ts';
import type { ObjectProblem } from '../snapshot.ts';
import { boundSlices } from './bounded-slices.ts';
import { type Group, groupItems } from './groups.ts';
import type { PolicyItem } from './items.ts';
import type { PortSpec } from './ports.ts';
import { type PortContext, resolvePorts } from './service-ports.ts';
import { wildcardProblems } from './wildcards.ts';

/**
 * An entry as the cache holds it, with the slices of its Service and those of their ports that are protected.
 */
export interface ModelEntry {
  readonly entry: CacheEntry;
  readonly slices: readonly EndpointSlice[];
  /** The protected ports of the Service, `<proto>/<name>`, each with its phase. */
  readonly portNames: ReadonlyMap<string, Phase>;
  /** The ports as its items name them. */
  readonly specs: readonly PortSpec[];
  /** Place of its first item among the items of all policies. */
  readonly rank: number;
}

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

/** The phase of a port that a policy names. */
export type PhaseOf = (port: PortIdentity) => Phase;

/** A port of a Service that a policy protects; `target` as in the cache. */
export interface PortIdentity {
  readonly policy: string;
  readonly namespace: string;
  readonly service: string;
  readonly proto: Protocol;
  readonly target: number | string;
  /** Numbers that a named target stands for, as slices tell. */
  readonly numbers?: readonly number[];
}

const REQUIRED: PhaseOf = () => 'require';

const groupsOf = memoized(groupItems);
const byName = memoized(
  (services: readonly Service[]) => new Map(services.map((each) => [nameOf(each.metadata), each])),
);

/**
 * The entry of a group, with all that it was made from. The Service is not among it: another list of Services
 * gives other groups.
 */
interface Resolved {
  readonly slices: readonly EndpointSlice[];
  readonly phases: readonly { readonly port: PortIdentity; readonly phase: Phase }[];
  readonly model: ModelEntry;
  readonly problems: readonly ObjectProblem[];
}

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
  const entries: ModelEntry[] = [];
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
    problems.push(...resolved.problems);
    entries.push(resolved.model);
  }
  problems.push(...wildcardProblems(items, objects.services));
  const mesh = items.some(({ namespace, service }) => namespace === '*' && service === '*');
  entries.sort((a, b) => (a.entry.name < b.entry.name ? -1 : 1));
  return { entries, mesh, problems, coarsened };
}

function resolve(
  group: Group,
  { service, slices, phaseOf }: Pick<PortContext, 'service' | 'slices'> & { readonly phaseOf: PhaseOf },
): Resolved {
  const { name, namespace, service: serviceName, policy, specs, rank, carrier } = group;
  const phases: Resolved['phases'][number][] = [];
  const phaseIn: PortContext['phaseIn'] = (spec, target, numbers) => {
    const { policy: owner, proto } = spec;
    const port = { policy: owner, namespace, service: serviceName, proto, target, numbers };
    const phase = phaseOf(port);
    phases.push({ port, phase });
    return phase;
  };
  const found = resolvePorts(specs, { service, slices, phaseIn });
  const within = boundSlices(slices, found.ports.length);
  const of = `${namespace}/${serviceName}`;
  const messages = [
    ...found.missing.map(
      ({ proto, first }) =>
        `PortNotFound: ${proto}/${first} is neither a service port nor a target port of ${of}`,
    ),
    ...found.coarse.map(
      (proto) =>
        `more than ${BOUNDS.portsPerService} ports of ${of} are of ${proto}: all ports of ${proto} are protected there`,
    ),
    ...(within.excess === '' ? [] : [`${of}: ${within.excess}`]),
  ];
  const problems = messages.map((message) => ({ where: `IPsecPolicy ${policy}`, message }));
  const selector =
    Object.keys(service.spec.selector ?? {}).length > 0 ? (service.spec.selector ?? null) : null;
  const families = familiesOf(service);
  const entry: CacheEntry = {
    name,
    namespace,
    service: serviceName,
    selector,
    families,
    ...(carrier === undefined ? {} : { carrier }),
    ports: found.ports,
  };
  return {
    slices,
    phases,
    model: { entry, slices: within.slices, portNames: found.names, specs, rank },
    problems,
  };
}

const nameOf = ({ name, namespace = 'default' }: Service['metadata']): string => `${namespace}/${name}`;

/** The API server fills in `ipFamilies`; a manifest may leave it out, which means both. */
function familiesOf({ spec: { ipFamilies } }: Service): CacheEntry['families'] {
  const families = (ipFamilies ?? []).map((family) => (family === 'IPv4' ? 4 : 6));
  return families.length === 0 ? [4, 6] : families.sort();
}
