import type { EndpointSlice, ObjectProblem } from '../../cluster/objects.ts';
import type { ModelEntry } from '../../cluster/policies/entries.ts';
import { protoOf } from '../../cluster/policies/service-ports.ts';
import { rememberedAddress } from '../../ip/remembered.ts';
import { childFor } from '../../ipsec/plan/child.ts';
import { strongest } from '../../ipsec/plan/phase.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { CacheNode, LocalEndpoint, ProtectedPort, RemoteEndpoint } from '../../rundir/schema.ts';
import { memoized } from '../../util/memo.ts';
import { shown } from '../../util/printable.ts';
import { createLocator, type Place } from './locate.ts';

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

interface Whereabouts {
  readonly locate: ReturnType<typeof createLocator>;
  /** The names of all nodes. */
  readonly names: ReadonlySet<string>;
}

const whereaboutsOf = memoized(
  (nodes: readonly CacheNode[]): Whereabouts => ({
    locate: createLocator(nodes),
    names: new Set(nodes.map(({ name }) => name)),
  }),
);

/** The placed endpoints of one entry, and what they were made from. */
interface Placed extends PlacedEndpoints {
  readonly whereabouts: Whereabouts;
  readonly nodeName: string;
  readonly children: ChildLookup;
}

const remembered = new WeakMap<ModelEntry, Placed>();

/**
 * The protected addresses, by where they live. Endpoints count whether they are ready or not. The pods of
 * this node are left out: their labels tell what they serve, before any slice lists them.
 */
export function placeEndpoints(entries: readonly ModelEntry[], context: EndpointContext): PlacedEndpoints {
  const local = new Map<string, LocalEndpoint>();
  const remote = new Map<string, RemoteEndpoint>();
  const problems: ObjectProblem[] = [];
  for (const model of entries) {
    const placed = placedOf(model, context);
    problems.push(...placed.problems);
    for (const endpoint of placed.local) {
      join(local, endpoint);
    }
    for (const endpoint of placed.remote) {
      join(remote, endpoint);
    }
  }
  return { local: sorted(local), remote: sorted(remote), problems };
}

/** The endpoints of one entry, remembered, since an event leaves nearly all of them as they were. */
function placedOf(model: ModelEntry, { nodes, nodeName, children }: EndpointContext): Placed {
  const whereabouts = whereaboutsOf(nodes);
  const before = remembered.get(model);
  const same =
    before?.whereabouts === whereabouts &&
    before.nodeName === nodeName &&
    before.children.childSaScope === children.childSaScope &&
    before.children.children === children.children;
  const placed = same
    ? before
    : { whereabouts, nodeName, children, ...placeOne(model, { whereabouts, nodeName, children }) };
  remembered.set(model, placed);
  return placed;
}

function placeOne(
  model: ModelEntry,
  { whereabouts, nodeName, children }: Pick<Placed, 'whereabouts' | 'nodeName' | 'children'>,
): PlacedEndpoints {
  const local = new Map<string, LocalEndpoint>();
  const remote = new Map<string, RemoteEndpoint>();
  const problems: ObjectProblem[] = [];
  for (const slice of model.slices) {
    const ports = protectedPorts(model, slice, children);
    const unplaced: string[] = [];
    for (const endpoint of ports.length === 0 ? [] : (slice.endpoints ?? [])) {
      for (const text of endpoint.addresses) {
        const placed = place(text, endpoint, whereabouts);
        if (placed === undefined) {
          unplaced.push(text);
        } else if (placed.node !== nodeName) {
          join(remote, { address: placed.address, node: placed.node, ports: merge([], ports) });
        } else if (placed.host || model.entry.selector === null || endpoint.targetRef?.kind !== 'Pod') {
          join(local, { address: placed.address, host: placed.host, ports: merge([], ports) });
        }
      }
    }
    problems.push(...onNoNode(slice, unplaced));
  }
  return { local: [...local.values()], remote: [...remote.values()], problems };
}

/** One problem for all addresses of a slice: a slice can have any number of them. */
function onNoNode({ metadata }: EndpointSlice, [first, ...others]: readonly string[]): ObjectProblem[] {
  if (first === undefined) {
    return [];
  }
  const where = `EndpointSlice ${metadata.namespace ?? 'default'}/${metadata.name}`;
  const more = others.length === 0 ? 'is' : `and ${others.length} more are`;
  return [{ where, message: `endpoints.addresses: ${shown(first, 80)} ${more} on no known node` }];
}

/** Adds an endpoint. Of several endpoints with one address the last counts, but their ports add up. */
function join<T extends { readonly address: string; readonly ports: readonly ProtectedPort[] }>(
  all: Map<string, T>,
  endpoint: T,
): void {
  const before = all.get(endpoint.address);
  all.set(
    endpoint.address,
    before === undefined ? endpoint : { ...endpoint, ports: merge(before.ports, endpoint.ports) },
  );
}

/**
 * The ports that are protected at the endpoints of a slice. A port that the entry gives as a number is
 * protected whether these endpoints have it or not, as the node of the endpoint does it too. A port that the
 * entry gives by name has the number that this slice says.
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
  const address = rememberedAddress(text);
  if (address === undefined) {
    return undefined;
  }
  const found = locate(address);
  // The node that Kubernetes names comes first: a primary CNI may lend addresses of one node's block to
  // another.
  const named = endpoint.nodeName ?? '';
  const node = names.has(named) ? named : found?.node;
  return node === undefined ? undefined : { address, node, host: found?.host ?? false };
}

/**
 * Joins two lists of ports, without repetitions and in a fixed order. A port in both gets the further phase.
 */
function merge(a: readonly ProtectedPort[], b: readonly ProtectedPort[]): ProtectedPort[] {
  const byKey = new Map<string, ProtectedPort>();
  for (const { phase, ...port } of [...a, ...b]) {
    const key = `${port.proto}/${String(port.port).padStart(5, '0')}`;
    const merged = byKey.get(key);
    const both = merged === undefined ? (phase ?? 'require') : strongest([phase, merged.phase]);
    byKey.set(key, both === 'require' ? port : { ...port, phase: both });
  }
  return [...byKey].sort(([x], [y]) => (x < y ? -1 : 1)).map(([, port]) => port);
}

function sorted<T extends { readonly address: string }>(map: ReadonlyMap<string, T>): T[] {
  return [...map.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
}
