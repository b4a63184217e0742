import type { CacheEntry } from '../../cache/schema.ts';
import type { Protocol } from '../../ipsec/types.ts';
import type { EndpointSlice, ObjectProblem, Service } from '../objects.ts';
import type { PolicyItem } from './items.ts';
import type { PortSpec } from './ports.ts';

/** A protected service: the entry as the cache holds it, its slices, and which of their ports are meant. */
export interface ModelEntry {
  readonly entry: CacheEntry;
  readonly slices: readonly EndpointSlice[];
  /** Names of the service's ports that are protected, as `<proto>/<name>`. */
  readonly portNames: ReadonlySet<string>;
}

export interface ResolvedEntries {
  /** Sorted by name. */
  readonly entries: readonly ModelEntry[];
  /** An item names every service of every namespace. */
  readonly mesh: boolean;
  readonly problems: readonly ObjectProblem[];
}

export interface ServiceObjects {
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
}

const SERVICE_LABEL = 'kubernetes.io/service-name';

/** Finds the services that items name, and the target ports that their numbers mean. */
export function resolveEntries(items: readonly PolicyItem[], objects: ServiceObjects): ResolvedEntries {
  const problems: ObjectProblem[] = [];
  const entries: ModelEntry[] = [];
  for (const [name, group] of groupItems(items, objects.services)) {
    const { namespace, service: serviceName } = group;
    const service = objects.services.find(
      ({ metadata }) => metadata.name === serviceName && (metadata.namespace ?? 'default') === namespace,
    );
    if (service === undefined) {
      problems.push({
        where: `IPsecPolicy ${group.policy}`,
        message: `ServiceNotFound: ${namespace}/${serviceName}`,
      });
      continue;
    }
    const slices = objects.endpointSlices.filter(
      ({ metadata }) =>
        metadata.labels?.[SERVICE_LABEL] === serviceName && (metadata.namespace ?? 'default') === namespace,
    );
    const found = resolvePorts(group.specs, service, slices);
    for (const spec of found.missing) {
      problems.push({
        where: `IPsecPolicy ${group.policy}`,
        message: `PortNotFound: ${spec.proto}/${spec.first} is neither a service port nor a target port of ${namespace}/${serviceName}`,
      });
    }
    const selector =
      Object.keys(service.spec.selector ?? {}).length > 0 ? (service.spec.selector ?? null) : null;
    const entry = { name, namespace, service: serviceName, selector, ports: found.ports };
    entries.push({ entry, slices, portNames: found.names });
  }
  const mesh = items.some(({ namespace, service }) => namespace === '*' && service === '*');
  return { entries: entries.sort((a, b) => (a.entry.name < b.entry.name ? -1 : 1)), mesh, problems };
}

interface Group {
  readonly policy: string;
  readonly namespace: string;
  readonly service: string;
  readonly specs: PortSpec[];
}

/** One entry per service and item name. Equal item names that mean different services are told apart by the service. */
function groupItems(items: readonly PolicyItem[], services: readonly Service[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const item of items.filter(({ namespace }) => namespace !== '*')) {
    const targets = item.service === '*' ? servicesOf(item.namespace, services) : [item.service];
    const shared = items.some(
      (other) =>
        other.name === item.name && (other.namespace !== item.namespace || other.service !== item.service),
    );
    for (const service of targets) {
      const base = item.service === '*' ? `${item.name}.${service}` : item.name;
      const name = shared ? `${item.name}.${item.namespace}.${service}` : base;
      const group = groups.get(name) ?? {
        policy: item.policy,
        namespace: item.namespace,
        service,
        specs: [],
      };
      group.specs.push(...item.specs);
      groups.set(name, group);
    }
  }
  return groups;
}

function servicesOf(namespace: string, services: readonly Service[]): string[] {
  return services
    .filter(({ metadata }) => (metadata.namespace ?? 'default') === namespace)
    .map(({ metadata }) => metadata.name);
}

interface ResolvedPorts {
  readonly ports: CacheEntry['ports'];
  readonly names: ReadonlySet<string>;
  readonly missing: readonly PortSpec[];
}

/**
 * A number that is a service port means its target port, a number that is a target port means itself; where both hold, both are meant
 * (DESIGN 3). The kernel sees target ports, after DNAT.
 */
function resolvePorts(
  specs: readonly PortSpec[],
  service: Service,
  slices: readonly EndpointSlice[],
): ResolvedPorts {
  const ports = new Map<string, CacheEntry['ports'][number]>();
  const names = new Set<string>();
  const missing: PortSpec[] = [];
  const protect = (proto: Protocol, target: number | string): void =>
    void ports.set(`${proto}/${typeof target}/${target}`, { proto, target });
  for (const spec of specs) {
    if (spec.first === 0) {
      protect(spec.proto, 0);
      continue;
    }
    let found = false;
    const within = (port: number): boolean => port >= spec.first && port <= spec.last;
    for (const port of (service.spec.ports ?? []).filter(
      ({ protocol }) => protoOf(protocol) === spec.proto,
    )) {
      const target = port.targetPort ?? port.port;
      const name = `${spec.proto}/${port.name ?? ''}`;
      if (within(port.port)) {
        protect(spec.proto, target);
        names.add(name);
        found = true;
      }
      for (const number of typeof target === 'number' ? [target] : numbersOf(slices, name)) {
        if (within(number)) {
          protect(spec.proto, number);
          found = true;
        }
      }
    }
    if (!found) {
      missing.push(spec);
    }
  }
  const sorted = [...ports].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, port]) => port);
  return { ports: sorted, names, missing };
}

/** The numbers that slices give to a port of the service, named as `<proto>/<name>`. */
export function numbersOf(slices: readonly EndpointSlice[], name: string): number[] {
  return slices.flatMap(({ ports }) =>
    (ports ?? []).flatMap((port) =>
      `${protoOf(port.protocol)}/${port.name ?? ''}` === name && typeof port.port === 'number'
        ? [port.port]
        : [],
    ),
  );
}

/** Kubernetes' protocol names; absent means TCP. */
export function protoOf(protocol: string | null | undefined): Protocol {
  const lower = (protocol ?? 'TCP').toLowerCase();
  return lower === 'udp' || lower === 'sctp' ? lower : 'tcp';
}
