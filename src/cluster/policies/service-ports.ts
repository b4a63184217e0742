import { strongest } from '../../ipsec/plan/phase.ts';
import { EVERY_PORT, isEveryPort } from '../../ipsec/plan/ports.ts';
import type { Phase, Protocol } from '../../ipsec/plan/types.ts';
import type { CacheEntry } from '../../rundir/schema.ts';
import { BOUNDS } from '../bounds.ts';
import type { EndpointSlice, Service } from '../objects.ts';
import type { PortSpec } from './ports.ts';

/** A spec, with the policy that it is from: an entry can be the union of several policies. */
export type PolicySpec = PortSpec & { readonly policy: string };

export interface PortContext {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  /**
   * The phase of one target port that a spec means; `numbers`: those that a named one stands for, as slices
   * tell.
   */
  readonly phaseIn: (spec: PolicySpec, target: number | string, numbers: readonly number[]) => Phase;
}

export interface ResolvedPorts {
  /** Target ports, sorted. */
  readonly ports: CacheEntry['ports'];
  /** Ports of the Service, `<proto>/<name>`. */
  readonly names: ReadonlyMap<string, Phase>;
  /** Specs that mean no port of this Service. */
  readonly missing: readonly PortSpec[];
  /** Protocols that have too many ports here to protect one by one. All of their ports are protected. */
  readonly coarse: readonly Protocol[];
  /** The ports of these protocols, and their names, as far as the bound of an object's ports allows. */
  readonly single: Pick<ResolvedPorts, 'ports' | 'names'>;
}

/**
 * The target ports that specs mean: after DNAT, the kernel sees no others. A number that is a port of the
 * Service means its target port, and a number that is a target port means itself; where it is both, both are
 * meant (docs/design.md, Which child). Slices tell of target ports that the Service does not: the numbers
 * of those that have a name, and whatever somebody wrote into a slice by hand.
 */
export function resolvePorts(
  specs: readonly PolicySpec[],
  { service, slices, phaseIn }: PortContext,
): ResolvedPorts {
  const ports = new Map<string, CacheEntry['ports'][number]>();
  const names = new Map<string, Phase>();
  const missing: PortSpec[] = [];
  const protect = (spec: PolicySpec, target: number | string, numbers: readonly number[] = []): Phase => {
    const { proto } = spec;
    const key = `${proto}/${typeof target}/${target}`;
    const before = ports.get(key);
    const own = phaseIn(spec, target, numbers);
    const phase = before === undefined ? own : strongest([own, before.phase]);
    ports.set(key, { proto, target, ...(phase === 'require' ? {} : { phase }) });
    return phase;
  };
  for (const spec of specs) {
    if (isEveryPort(spec.first)) {
      protect(spec, EVERY_PORT);
      continue;
    }
    let found = false;
    const within = (port: number): boolean => port >= spec.first && port <= spec.last;
    const listed = portsOf(slices, spec.proto);
    const targets = listed.map(({ port }) => port);
    for (const port of (service.spec.ports ?? []).filter(
      ({ protocol }) => protoOf(protocol) === spec.proto,
    )) {
      const target = port.targetPort || port.port;
      if (within(port.port)) {
        const numbers = listed.filter(({ name }) => name === (port.name ?? '')).map((each) => each.port);
        const phase = protect(spec, target, typeof target === 'string' ? numbers : []);
        const key = `${spec.proto}/${port.name ?? ''}`;
        const before = names.get(key);
        names.set(key, before === undefined ? phase : strongest([phase, before]));
        found = true;
      }
      if (typeof target === 'number') {
        targets.push(target);
      }
    }
    for (const number of targets.filter(within)) {
      protect(spec, number);
      found = true;
    }
    if (!found) {
      missing.push(spec);
    }
  }
  const coarse = coarsen(ports, names);
  const sorted = [...ports].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, port]) => port);
  return { ports: sorted, names, missing, ...coarse };
}

/**
 * A range can mean any number of ports, which whoever writes the Service decides. Beyond the bound all ports
 * of the protocol take the place of the single ones, in the furthest phase of these. The single ones are
 * still those of unlisted endpoints.
 */
function coarsen(
  ports: Map<string, CacheEntry['ports'][number]>,
  names: Map<string, Phase>,
): Pick<ResolvedPorts, 'coarse' | 'single'> {
  const byProto = Map.groupBy(ports, ([, { proto }]) => proto);
  const coarse = [...byProto].filter(([, found]) => found.length > BOUNDS.portsPerService);
  const single: CacheEntry['ports'][number][] = [];
  const singleNames = new Map<string, Phase>();
  for (const [proto, found] of coarse) {
    const phase = strongest(found.map(([, port]) => port.phase));
    single.push(...found.slice(0, BOUNDS.portsPerObject).map(([, port]) => port));
    for (const [key] of found) {
      ports.delete(key);
    }
    for (const [key, own] of [...names].filter(([name]) => name.startsWith(`${proto}/`))) {
      singleNames.set(key, own);
      names.delete(key);
    }
    ports.set(`${proto}/number/${EVERY_PORT}`, {
      proto,
      target: EVERY_PORT,
      ...(phase === 'require' ? {} : { phase }),
    });
  }
  return { coarse: coarse.map(([proto]) => proto), single: { ports: single, names: singleNames } };
}

/** The numbered ports of slices for one protocol. */
export function portsOf(
  slices: readonly EndpointSlice[],
  proto: Protocol,
): { readonly name: string; readonly port: number }[] {
  return slices.flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ name, protocol, port }) =>
      protoOf(protocol) === proto && typeof port === 'number' ? [{ name: name ?? '', port }] : [],
    ),
  );
}

/** Kubernetes' protocol names; absent means TCP. */
export function protoOf(protocol: string | null | undefined): Protocol {
  const lower = (protocol ?? 'TCP').toLowerCase();
  return lower === 'udp' || lower === 'sctp' ? lower : 'tcp';
}
