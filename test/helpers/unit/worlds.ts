import fc from 'fast-check';
import type { EndpointSlice, Pod, Service } from '../../../src/cluster/objects.ts';
import type { ClusterObjects } from '../../../src/cluster/snapshot.ts';
import { cluster, item, node, pod, policy, service, slice } from './objects.ts';

/**
 * The worlds of property tests: whole clusters of three nodes, with services, their slices, pods and policies. All values are
 * few and small, so that ports, labels and names of different things meet often.
 */
export interface World {
  readonly objects: ClusterObjects;
  /** The pods that have an attachment: those of the host network have none. */
  readonly pods: readonly WorldPod[];
  readonly scope: 'service' | 'node';
}

export interface WorldPod {
  readonly name: string;
  readonly node: NodeName;
  readonly addresses: readonly string[];
}

export const NODES = ['a', 'b', 'c'] as const;
export type NodeName = (typeof NODES)[number];
export const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;
const SERVICES = ['s', 't', 'u'] as const;

/** A port that pods and services of a world use. */
export const worldPort = fc.integer({ min: 1, max: 4 });

const rarely = (weight: number): fc.Arbitrary<boolean> =>
  fc.oneof({ weight, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });

interface PodDraft {
  readonly node: NodeName;
  readonly labels: Readonly<Record<string, string>>;
  /** The port named www; of a second one of that name, only the pod itself knows. */
  readonly www: number;
  readonly second: number;
  readonly hostNetwork: boolean;
}

const podDraft: fc.Arbitrary<PodDraft> = fc.record({
  node: fc.constantFrom(...NODES),
  labels: fc.record({ app: fc.constantFrom('x', 'y'), tier: fc.constantFrom('f', 'b') }),
  www: worldPort,
  second: worldPort,
  hostNetwork: rarely(9),
});

interface ServiceDraft {
  /** It has no selector: somebody else writes its slices. */
  readonly manual: boolean;
  readonly families: readonly ('IPv4' | 'IPv6')[];
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly {
    readonly protocol: string;
    readonly port: number;
    readonly targetPort: number | string | undefined;
  }[];
}

const serviceDraft: fc.Arbitrary<ServiceDraft> = fc.record({
  manual: rarely(4),
  families: fc.constantFrom(['IPv4'] as const, ['IPv6'] as const, ['IPv4', 'IPv6'] as const),
  selector: fc.constantFrom<Record<string, string>[]>({ app: 'x' }, { tier: 'f' }, { app: 'y', tier: 'b' }),
  ports: fc.array(
    fc.record({
      protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
      port: worldPort,
      targetPort: fc.oneof(
        { weight: 3, arbitrary: worldPort },
        { weight: 3, arbitrary: fc.constant('www') },
        { weight: 1, arbitrary: fc.constant(undefined) },
      ),
    }),
    { maxLength: 3 },
  ),
});

const portSpec = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.tuple(fc.constantFrom(...PROTOCOLS), worldPort).map(([proto, port]) => `${proto}/${port}`),
  },
  { weight: 2, arbitrary: fc.constantFrom('tcp/*', 'tcp/2-5', 'udp/2-4', 'sctp/*') },
  { weight: 2, arbitrary: fc.constant('*') },
  // Malformed: the item is refused.
  { weight: 1, arbitrary: fc.constant('udp') },
);

const itemDraft = fc.record({
  service: fc.oneof(
    // Not every world has all of the services.
    { weight: 8, arbitrary: fc.constantFrom(...SERVICES) },
    { weight: 1, arbitrary: fc.constant('*') },
  ),
  mesh: rarely(30),
  specs: fc.array(portSpec, { minLength: 1, maxLength: 3 }),
});

/** `least`: how many pods, services and items there are at least. Policies are called p-0 and up, with one item each. */
export function worlds(
  least: Partial<Record<'pods' | 'services' | 'items', number>> = {},
): fc.Arbitrary<World> {
  return fc
    .record({
      pods: fc.array(podDraft, { minLength: least.pods ?? 0, maxLength: 6 }),
      services: fc.array(serviceDraft, { minLength: least.services ?? 0, maxLength: SERVICES.length }),
      items: fc.array(itemDraft, { minLength: least.items ?? 0, maxLength: 4 }),
      dual: fc.boolean(),
      scope: fc.constantFrom('service' as const, 'service' as const, 'node' as const),
      // Of items; two have the name of a service, which need not be the one that they protect.
      names: fc.shuffledSubarray(['e1', 'e2', 's', 't'], { minLength: 4 }),
    })
    .map(({ pods, services, items, dual, scope, names }) => {
      const placed = pods.map((draft, index) => ({
        ...draft,
        name: `pod-${index}`,
        addresses: addressesOf(draft, index, dual),
      }));
      const named = services.map((draft, index) => ({ ...draft, name: SERVICES[index] ?? '' }));
      const objects = cluster({
        nodes: NODES.map((name) => nodeObject(name, dual)),
        pods: placed.map(podObject),
        services: named.map(serviceObject),
        endpointSlices: named.flatMap((one) => slicesOf(one, placed)),
        policies: items.map(({ service: of, mesh, specs }, index) => {
          const more = mesh ? { servicename: '*', servicens: '*' } : { servicename: of };
          return policy(`p-${index}`, item(names[index] ?? '', mesh ? '*' : specs.join(','), more));
        }),
      });
      return { objects, scope, pods: placed.filter(({ hostNetwork }) => !hostNetwork) };
    });
}

const indexOf = (name: NodeName): number => NODES.indexOf(name) + 1;

/** Two IPv4 pod CIDRs to a node, pods spread over both. */
function addressesOf({ node: name, hostNetwork }: PodDraft, index: number, dual: boolean): string[] {
  if (hostNetwork) {
    return [`10.0.0.${indexOf(name)}`];
  }
  const four = `10.${1 + (index % 2)}.${indexOf(name)}.${index + 1}`;
  return dual ? [four, `fd00:${indexOf(name)}::${index + 1}`] : [four];
}

function nodeObject(name: NodeName, dual: boolean): ClusterObjects['nodes'][number] {
  const index = indexOf(name);
  const four = [`10.1.${index}.0/24`, `10.2.${index}.0/24`];
  const podCidrs = [...four, ...(dual ? [`fd00:${index}::/64`] : [])].join(',');
  return node(name, { metadata: { name, annotations: { 'trapline.io/pod-cidrs': podCidrs } } });
}

type PlacedPod = PodDraft & WorldPod;

function podObject({ name, node: on, labels, www, second, hostNetwork, addresses }: PlacedPod): Pod {
  const ports = [www, second].flatMap((containerPort) =>
    PROTOCOLS.map((proto) => ({ name: 'www', containerPort, protocol: proto.toUpperCase() })),
  );
  return pod(name, on, {
    metadata: { uid: name, labels: { ...labels } },
    spec: { nodeName: on, hostNetwork, containers: [{ ports }] },
    status: { phase: 'Running', podIPs: addresses.map((ip) => ({ ip })) },
  });
}

type NamedService = ServiceDraft & { readonly name: string };

function serviceObject({ name, selector, manual, families, ports }: NamedService): Service {
  return service(
    name,
    ports.map(({ targetPort, ...each }, index) => ({
      ...each,
      name: `p${index}`,
      ...(targetPort === undefined ? {} : { targetPort }),
    })),
    { selector: manual ? null : { ...selector }, ipFamilies: [...families] },
  );
}

/** What the EndpointSlice controller makes, though with a slice for each address: ports by name differ between pods. */
function slicesOf(
  { name, selector, families, ports }: NamedService,
  pods: readonly PlacedPod[],
): EndpointSlice[] {
  const selected = pods.filter(({ labels }) =>
    Object.entries(selector).every(([label, value]) => labels[label] === value),
  );
  return selected.flatMap((one) =>
    one.addresses
      .filter((address) => families.includes(address.includes(':') ? 'IPv6' : 'IPv4'))
      .map((address, index) =>
        slice(
          name,
          [address],
          ports.map(({ protocol, port, targetPort = port }, number) => ({
            name: `p${number}`,
            protocol,
            port: typeof targetPort === 'number' ? targetPort : one.www,
          })),
          { nodeName: one.node, targetRef: { kind: 'Pod', name: one.name, namespace: 'ns' } },
          `${name}-${one.name}-${index}`,
        ),
      ),
  );
}
