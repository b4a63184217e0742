import { BOUNDS } from '../../../cluster/bounds.ts';
import { type EndpointSlice, SERVICE_NAME_LABEL, type Service } from '../../../cluster/objects.ts';
import type { PolicyItem } from '../../../cluster/policies/items.ts';
import type { ClusterObjects, ObjectProblem } from '../../../cluster/snapshot.ts';
import type { AcceptedService } from '../../../rundir/accepted.ts';
import { memoized } from '../../../util/memo.ts';
import { DEPARTED_MS } from '../departed.ts';
import { completed } from './completed.ts';
import { formerSlices, portsSlice, type Slices } from './former-slices.ts';
import { goneSince, type KnownServices, samePorts } from './known-services.ts';
import { newestPerNamespace } from './newest.ts';
import { NO_NAMES } from './there.ts';

type ServiceObjects = Pick<ClusterObjects, 'services' | 'endpointSlices'>;

export interface Recalled extends ServiceObjects {
  /** The Services that are there. */
  readonly present: ReadonlyMap<string, Service>;
  /** Those that are gone and stay in force, as they are remembered from now on. */
  readonly lost: KnownServices;
  readonly problems: readonly ObjectProblem[];
}

interface Time {
  readonly known: KnownServices;
  readonly now: number;
  /** Services that are there and cannot be read, or not as a whole, `namespace/name`. */
  readonly unread?: ReadonlySet<string>;
}

const byKey = memoized(
  (services: readonly Service[]) => new Map(services.map((service) => [keyOf(service), service])),
);
/** Policies by the Service that they name, `namespace/service`. */
const namesIn = memoized((items: readonly PolicyItem[]): ReadonlyMap<string, readonly string[]> => {
  const grouped = Map.groupBy(items, ({ namespace, service }) => `${namespace}/${service}`);
  return new Map([...grouped].map(([key, all]) => [key, [...new Set(all.map(({ policy }) => policy))]]));
});
const namedPorts = memoized((known: KnownServices) =>
  [...known.values()].filter(({ slicePorts }) => slicePorts.length > 0),
);
const slicesOf = memoized((slices: Slices) => Map.groupBy(slices, serviceKeyOf));
const NO_SLICES: Slices = [];
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
export function recallServices(objects: ServiceObjects, items: readonly PolicyItem[], time: Time): Recalled {
  // As long as none is gone, the time does not matter.
  const { known, unread = NO_NAMES } = time;
  const last = ofNow(objects.services, objects.endpointSlices, items, known, unread);
  last.recalled = last.recalled?.lost.size === 0 ? last.recalled : recall(objects, items, time);
  return last.recalled;
}

const ofNow = memoized(
  (
    ..._: [ServiceObjects['services'], Slices, readonly PolicyItem[], KnownServices, ReadonlySet<string>]
  ): {
    recalled?: Recalled;
  } => ({}),
);

function recall(objects: ServiceObjects, items: readonly PolicyItem[], time: Time): Recalled {
  const { known, unread = NO_NAMES } = time;
  const readable = unread.size === 0 ? objects.services : completed(objects.services, known, unread);
  const present = byKey(readable);
  const { gone, problems } = goneFrom(present, namesIn(items), time);
  const lost = new Map(gone.map((service) => [keyFor(service), service]));
  const some = [...lost.values(), ...namedPorts(known).filter((service) => !lost.has(keyFor(service)))];
  const read = slicesOf(some.length === 0 ? NO_SLICES : objects.endpointSlices);
  const slices = some.flatMap((service) => {
    const key = keyFor(service);
    const own = read.get(key) ?? [];
    if (lost.has(key)) {
      const former = formerSlices(service, own);
      return [...former, ...portsSlice(service, [...own, ...former])];
    }
    const silent = portsSlice(service, own);
    return silent.length > 0 && samePorts(service, present.get(key)) ? silent : [];
  });
  return {
    services: joined(readable, ...gone.map(serviceFrom)),
    endpointSlices: joinedSlices(objects.endpointSlices, ...slices),
    present,
    lost,
    problems,
  };
}

function goneFrom(
  present: ReadonlyMap<string, Service>,
  policies: ReadonlyMap<string, readonly string[]>,
  { known, now, unread = NO_NAMES }: Time,
): { readonly gone: readonly AcceptedService[]; readonly problems: readonly ObjectProblem[] } {
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
    } else if (unread.has(key)) {
      report(service, policies.get(`${before.namespace}/*`) ?? [], '; it is there and cannot be read');
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
