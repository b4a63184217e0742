import type { Phase, Protocol } from '../../ipsec/plan/types.ts';
import type { CacheEntry } from '../../rundir/schema.ts';
import { BOUNDS } from '../bounds.ts';
import type { EndpointSlice, Service } from '../objects.ts';
import { type BoundedSlices, boundSlices } from './bounded-slices.ts';
import type { Group } from './groups.ts';
import type { PortSpec } from './ports.ts';
import type { Remarks } from './remarks.ts';
import { type PortContext, type ResolvedPorts, resolvePorts } from './service-ports.ts';

/**
 * An entry as the cache holds it, with the slices of its Service and those of their ports that are protected.
 */
export interface ModelEntry {
  readonly entry: CacheEntry;
  readonly slices: readonly EndpointSlice[];
  /** Addresses beyond the bounds, at which only protocols that are protected as a whole count. */
  readonly rest: readonly EndpointSlice[];
  /** Whether it has addresses beyond the bounds: its port numbers are protected at whole pod CIDRs then. */
  readonly beyond: boolean;
  /** The protected ports of the Service, `<proto>/<name>`, each with its phase. */
  readonly portNames: ReadonlyMap<string, Phase>;
  /** The ports, and their names, for which a whole protocol stands, as there are too many of them. */
  readonly single: ResolvedPorts['single'];
  /** The ports as its items name them. */
  readonly specs: readonly PortSpec[];
  /** Place of its first item among the items of all policies. */
  readonly rank: number;
}

/** The phase of a port that a policy names. */
export type PhaseOf = (port: PortIdentity) => Phase;

/** A port of a Service that a policy protects; `target` as in the cache. */
export interface PortIdentity {
  readonly policy: string;
  readonly namespace: string;
  readonly service: string;
  /** The selector of the Service. */
  readonly selector?: Readonly<Record<string, string>> | null | undefined;
  readonly proto: Protocol;
  readonly target: number | string;
  /** Numbers that a named target stands for, as slices tell. */
  readonly numbers?: readonly number[];
}

/**
 * The entry of a group, with all that it was made from. The Service is not among it: another list of Services
 * gives other groups.
 */
export interface Resolved {
  readonly slices: readonly EndpointSlice[];
  readonly phases: readonly { readonly port: PortIdentity; readonly phase: Phase }[];
  readonly model: ModelEntry;
  readonly used: BoundedSlices['used'];
  readonly remarks: Remarks;
}

/** The entry of a group. */
export function resolve(
  group: Group,
  { service, slices, phaseOf }: Pick<PortContext, 'service' | 'slices'> & { readonly phaseOf: PhaseOf },
): Resolved {
  const { name, namespace, service: serviceName, specs, rank, carrier } = group;
  const phases: Resolved['phases'][number][] = [];
  const phaseIn: PortContext['phaseIn'] = (spec, target, numbers) => {
    const { policy: owner, proto } = spec;
    const { selector: pods } = service.spec;
    const port = { policy: owner, namespace, service: serviceName, selector: pods, proto, target, numbers };
    const phase = phaseOf(port);
    phases.push({ port, phase });
    return phase;
  };
  const found = resolvePorts(specs, { service, slices, phaseIn });
  const within = boundSlices(slices, found.ports);
  const of = `${namespace}/${serviceName}`;
  const remarks: Remarks = {
    of,
    missing: found.missing.map(({ proto, first }) => `${proto}/${first}`),
    others: [
      ...found.coarse.map((proto) => ({
        kind: proto,
        message: `more than ${BOUNDS.portsPerService} ports of ${of} are of ${proto}: all ports of ${proto} are protected there`,
      })),
      ...(within.excess === '' ? [] : [{ kind: 'excess', message: `${of}: ${within.excess}` }]),
    ],
  };
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
    model: {
      entry,
      slices: within.slices,
      rest: within.rest,
      beyond: within.beyond,
      portNames: found.names,
      single: found.single,
      specs,
      rank,
    },
    used: within.used,
    remarks,
  };
}

/** The API server fills in `ipFamilies`; a manifest may leave it out, which means both. */
function familiesOf({ spec: { ipFamilies } }: Service): CacheEntry['families'] {
  const families = (ipFamilies ?? []).map((family) => (family === 'IPv4' ? 4 : 6));
  return families.length === 0 ? [4, 6] : families.sort();
}
