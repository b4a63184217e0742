import type { CacheNode, LocalEndpoint, ProtectedPort, RemoteEndpoint } from '../../cache/schema.ts';
import { childFor } from '../../ipsec/child.ts';
import { strongest } from '../../ipsec/phase.ts';
import type { Phase } from '../../ipsec/types.ts';
import type { EndpointSlice, ObjectProblem } from '../objects.ts';
import { canonicalAddress } from './cidr.ts';
import type { ModelEntry } from './entries.ts';
import { createLocator, type Place } from './locate.ts';
import { memoized } from './memo.ts';
import { protoOf } from './service-ports.ts';

type ChildLookup = Parameters<typeof childFor>[0];

export interface PlacedEndpoints {
  readonly local: readonly LocalEndpoint[];
  readonly remote: readonly RemoteEndpoint[];
  readonly problems: readonly ObjectProblem[];
}

export interface EndpointContext {
  readonly nodes: readonly CacheNode[];
  readonly nodeName: string;
  readonly children: ChildLookup;
}

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

const locatorOf = memoized(createLocator);

interface Whereabouts {
  readonly locate: ReturnType<typeof createLocator>;
  /** Of all nodes. */
  readonly names: ReadonlySet<string>;
}

/**
 * Where the protected addresses live. Endpoints count whether ready or not. The pods of this node are left out: they are known by
 * their labels, before any slice lists them.
 */
export function placeEndpoints(entries: readonly ModelEntry[], context: EndpointContext): PlacedEndpoints {
  const local = new Map<string, LocalEndpoint>();
  const remote = new Map<string, RemoteEndpoint>();
  const problems: ObjectProblem[] = [];
  const whereabouts: Whereabouts = {
    locate: locatorOf(context.nodes),
    names: new Set(context.nodes.map(({ name }) => name)),
  };
  for (const model of entries) {
    for (const slice of model.slices) {
      const ports = protectedPorts(model, slice, context.children);
      for (const endpoint of ports.length === 0 ? [] : (slice.endpoints ?? [])) {
        for (const text of endpoint.addresses) {
          const placed = place(text, endpoint, whereabouts);
          if (placed === undefined) {
            const where = `EndpointSlice ${slice.metadata.namespace ?? 'default'}/${slice.metadata.name}`;
            problems.push({
              where,
              message: `endpoints.addresses: ${JSON.stringify(text)} is on no known node`,
            });
          } else if (placed.node !== context.nodeName) {
            const before = remote.get(placed.address)?.ports ?? [];
            remote.set(placed.address, {
              address: placed.address,
              node: placed.node,
              ports: merge(before, ports),
            });
          } else if (placed.host || model.entry.selector === null || endpoint.targetRef?.kind !== 'Pod') {
            const before = local.get(placed.address)?.ports ?? [];
            local.set(placed.address, {
              address: placed.address,
              host: placed.host,
              ports: merge(before, ports),
            });
          }
        }
      }
    }
  }
  return { local: sorted(local), remote: sorted(remote), problems };
}

/**
 * What is protected at the endpoints of a slice: what the entry says in numbers, whether these endpoints have that port or not, as their own
 * node does it, and what a named port is there.
 */
function protectedPorts(model: ModelEntry, slice: EndpointSlice, children: ChildLookup): ProtectedPort[] {
  const { entry, portNames } = model;
  const port = (proto: ProtectedPort['proto'], number: number, phase: Phase | undefined): ProtectedPort => ({
    proto,
    port: number,
    child: childFor(children, entry.name, proto, number),
    ...(phase === undefined || phase === 'require' ? {} : { phase }),
  });
  const numbered = entry.ports.flatMap(({ proto, target, phase }) =>
    typeof target === 'number' ? [port(proto, target, phase)] : [],
  );
  const named = (slice.ports ?? []).flatMap((each) => {
    const proto = protoOf(each.protocol);
    const number = each.port ?? 0;
    const phase = portNames.get(`${proto}/${each.name ?? ''}`);
    return number > 0 && phase !== undefined ? [port(proto, number, phase)] : [];
  });
  return [...numbered, ...named];
}

function place(
  text: string,
  endpoint: Endpoint,
  { locate, names }: Whereabouts,
): (Place & { readonly address: string }) | undefined {
  const address = canonicalAddress(text);
  if (address === undefined) {
    return undefined;
  }
  const found = locate(address);
  // Kubernetes knows where a pod is; a primary CNI may lend addresses of one node's block to another.
  const named = endpoint.nodeName ?? '';
  const node = names.has(named) ? named : found?.node;
  return node === undefined ? undefined : { address, node, host: found?.host ?? false };
}

/** No port twice, in a fixed order. */
function merge(a: readonly ProtectedPort[], b: readonly ProtectedPort[]): ProtectedPort[] {
  const byKey = new Map<string, ProtectedPort>();
  for (const { phase, ...port } of [...a, ...b]) {
    const key = `${port.proto}/${String(port.port).padStart(5, '0')}`;
    const known = byKey.get(key);
    const both = known === undefined ? (phase ?? 'require') : strongest([phase, known.phase]);
    byKey.set(key, both === 'require' ? port : { ...port, phase: both });
  }
  return [...byKey].sort(([x], [y]) => (x < y ? -1 : 1)).map(([, port]) => port);
}

function sorted<T extends { readonly address: string }>(map: ReadonlyMap<string, T>): T[] {
  return [...map.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
}
