import { BOUNDS } from '../../../cluster/bounds.ts';
import {
  type ClusterObjects,
  type EndpointSlice,
  type ObjectProblem,
  SERVICE_NAME_LABEL,
  type Service,
} from '../../../cluster/objects.ts';
import type { ModelEntry } from '../../../cluster/policies/entries.ts';
import type { PolicyItem } from '../../../cluster/policies/items.ts';
import type { AcceptedService } from '../../../rundir/accepted.ts';
import { memoized } from '../../../util/memo.ts';
import { DEPARTED_MS } from '../departed.ts';
import {
  formerSlices,
  keepSlices,
  portsSlice,
  readSlices,
  type Slices,
  uniquePorts,
} from './former-slices.ts';
import { newestPerNamespace } from './newest.ts';

/** Services that items name, as they last were, by `namespace/name`. */
export type KnownServices = ReadonlyMap<string, AcceptedService>;

type ServiceObjects = Pick<ClusterObjects, 'services' | 'endpointSlices'>;

export interface Recalled extends ServiceObjects {
  /** The Services that are gone and stay in force, as they are remembered from now on. */
  readonly gone: readonly AcceptedService[];
  readonly problems: readonly ObjectProblem[];
}

interface Time {
  readonly known: KnownServices;
  readonly now: number;
}

const byKey = memoized(
  (services: readonly Service[]) => new Map(services.map((service) => [keyOf(service), service])),
);
/** Policies by the Service that they name, `namespace/service`. */
const namesIn = memoized((items: readonly PolicyItem[]): ReadonlyMap<string, readonly string[]> => {
  const grouped = Map.groupBy(items, ({ namespace, service }) => `${namespace}/${service}`);
  return new Map([...grouped].map(([key, all]) => [key, [...new Set(all.map(({ policy }) => policy))]]));
});
const joined = memoized((list: readonly Service[], ...more: readonly Service[]) =>
  more.length === 0 ? list : [...list, ...more],
);
const joinedSlices = memoized((list: Slices, ...more: Slices) =>
  more.length === 0 ? list : [...list, ...more],
);

/**
 * The cluster's Services and slices, with those that are gone although an item names them: what was accepted
 * of them stays in force, selector, families and ports, until the item goes or the Service is back. Their
 * endpoints stay for a while: slices go with the Service, and pods may go on without it. A Service that only
 * an item for all Services of its namespace has named stays for that while, too: nobody will ever withdraw
 * it by its name.
 */
export function recallServices(
  objects: ServiceObjects,
  items: readonly PolicyItem[],
  { known, now }: Time,
): Recalled {
  const present = byKey(objects.services);
  const { gone, problems } = goneFrom(present, namesIn(items), { known, now });
  const lost = new Map(gone.map((service) => [keyFor(service), service]));
  const read = Map.groupBy(objects.endpointSlices, serviceKeyOf);
  const slices = [...known].flatMap(([key, before]) => {
    const own = read.get(key) ?? [];
    const service = lost.get(key);
    if (service === undefined) {
      const silent = portsSlice(before, own);
      return silent.length > 0 && samePorts(before, present.get(key)) ? silent : [];
    }
    const former = formerSlices(service, own);
    return [...former, ...portsSlice(service, [...own, ...former])];
  });
  return {
    services: joined(objects.services, ...gone.map(serviceFrom)),
    endpointSlices: joinedSlices(objects.endpointSlices, ...slices),
    gone,
    problems,
  };
}

function goneFrom(
  present: ReadonlyMap<string, Service>,
  policies: ReadonlyMap<string, readonly string[]>,
  { known, now }: Time,
): Pick<Recalled, 'gone' | 'problems'> {
  const gone: AcceptedService[] = [];
  const problems: ObjectProblem[] = [];
  const former: { namespace: string; until: number; service: AcceptedService }[] = [];
  const report = (service: AcceptedService, names: readonly string[], how: string): void => {
    gone.push(service);
    const message = `ServiceNotFound: ${keyFor(service)}${how}`;
    problems.push(...names.map((policy) => ({ where: `IPsecPolicy ${policy}`, message })));
  };
  for (const [key, before] of known) {
    const named = policies.get(key);
    if (present.has(key) || (named === undefined && !policies.has(`${before.namespace}/*`))) {
      continue;
    }
    const service = goneSince(before, now);
    const until = service.gone?.until ?? now;
    if (named !== undefined) {
      const how = '; what it selected before stays in force until it is back or no item names it';
      report(until > now ? service : withoutSlices(service), named, how);
    } else if (until > now) {
      former.push({ namespace: service.namespace, until, service });
    }
  }
  for (const { namespace, service } of newestPerNamespace(former, BOUNDS.formerServices)) {
    const how = `; what it selected before stays in force for ${DEPARTED_MS / 60_000} minutes`;
    report(service, policies.get(`${namespace}/*`) ?? [], how);
  }
  return { gone, problems };
}

/** The Services that entries are made from, as they are now, and those that are gone. */
export function nextServices(
  known: KnownServices,
  entries: readonly ModelEntry[],
  { services, gone }: Recalled,
): KnownServices {
  const lost = new Map(gone.map((service) => [keyFor(service), service]));
  const present = byKey(services);
  const next = new Map<string, AcceptedService>();
  for (const entry of entries) {
    const key = `${entry.entry.namespace}/${entry.entry.service}`;
    const service = present.get(key);
    const kept = lost.get(key) ?? (service && remember(service, entry, next.get(key) ?? known.get(key)));
    if (kept !== undefined) {
      next.set(key, kept);
    }
  }
  const same = next.size === known.size && [...next].every(([key, service]) => known.get(key) === service);
  return same ? known : next;
}

/** The last result for each entry. An entry is another one if its Service is. */
const rememberedOf = new WeakMap<ModelEntry, AcceptedService>();
/** The slices that a remembered Service had, for as long as this process lives. */
const slicesOf = new WeakMap<AcceptedService, Slices>();

/** What is remembered of a Service that is there; `before` itself if that is still true. */
function remember(service: Service, entry: ModelEntry, before: AcceptedService | undefined): AcceptedService {
  if (before !== undefined && rememberedOf.get(entry) === before) {
    return before;
  }
  const slices = readSlices(entry.slices);
  const told = uniquePorts(slices);
  const slicePorts = told.length === 0 && samePorts(before, service) ? before?.slicePorts : told;
  const { namespace = 'default', name } = service.metadata;
  const { selector, ipFamilies } = service.spec;
  const now = {
    namespace,
    name,
    selector: selector ?? null,
    ipFamilies: ipFamilies ?? [],
    ports: portsIn(service),
    slicePorts: slicePorts ?? [],
  };
  const kept = before !== undefined && JSON.stringify(before) === JSON.stringify(now) ? before : now;
  rememberedOf.set(entry, kept);
  slicesOf.set(kept, slices);
  return kept;
}

function portsIn({ spec }: Service): AcceptedService['ports'] {
  return (spec.ports ?? []).map(({ name = '', protocol = 'TCP', port, targetPort }) => ({
    name,
    protocol,
    port,
    ...(targetPort === undefined ? {} : { targetPort }),
  }));
}

/** Whether a Service has the ports that are remembered of it. */
function samePorts(before: AcceptedService | undefined, service: Service | undefined): boolean {
  return (
    before !== undefined &&
    service !== undefined &&
    JSON.stringify(before.ports) === JSON.stringify(portsIn(service))
  );
}

function goneSince(service: AcceptedService, now: number): AcceptedService {
  return service.gone === undefined
    ? { ...service, gone: { until: now + DEPARTED_MS, slices: keepSlices(slicesOf.get(service) ?? []) } }
    : service;
}

/** A Service that is gone for so long that its endpoints count no more. */
function withoutSlices(service: AcceptedService): AcceptedService {
  return service.gone?.until === 0 ? service : { ...service, gone: { until: 0, slices: [] } };
}

const madeFrom = new WeakMap<AcceptedService['ports'], Service>();

function serviceFrom({ namespace, name, selector, ipFamilies, ports }: AcceptedService): Service {
  const service: Service = madeFrom.get(ports) ?? {
    kind: 'Service',
    metadata: { name, namespace },
    spec: { selector, ipFamilies, ports },
  };
  madeFrom.set(ports, service);
  return service;
}

const keyOf = ({ metadata: { namespace = 'default', name } }: Service): string => `${namespace}/${name}`;
const keyFor = ({ namespace, name }: AcceptedService): string => `${namespace}/${name}`;
const serviceKeyOf = ({ metadata: { namespace = 'default', labels } }: EndpointSlice): string =>
  `${namespace}/${labels?.[SERVICE_NAME_LABEL] ?? ''}`;
