import fc from 'fast-check';
import type { EndpointSlice, Pod, Service } from '../../src/cluster/objects.ts';
import type { ClusterObjects } from '../../src/cluster/snapshot.ts';
import { NODES, type NodeName } from '../helpers/unit/worlds.ts';

/**
 * Clusters with two namespaces: `kube-system`, which means well, and `tenant`, whose user writes what the API
 * server lets pass. Nodes, policies, and the addresses and places of pods are nobody's but the administrator's
 * and the kubelets'. Values are few and small, so that things of both namespaces meet often.
 */

export const TENANT = 'tenant';
export const OTHERS = 'kube-system';
/** Outside of the cluster. */
export const OUTSIDE = ['203.0.113.9', '198.51.100.7', '2001:db8::9', '2001:db8::7'] as const;
/** In the nodes' pod CIDRs, and of no pod. */
export const UNUSED = ['10.244.1.200', '10.244.2.200', '10.244.3.200'] as const;
const PORTS = [1, 2, 3] as const;
/** The API server's port, which no world protects. */
export const API_PORT = 6443;

export interface TenantPod {
  readonly namespace: string;
  readonly name: string;
  readonly node: NodeName;
  readonly addresses: readonly string[];
  readonly hostNetwork: boolean;
}

export interface TenantWorld {
  readonly before: ClusterObjects;
  /** The same after the user of `tenant` has changed Services, slices, labels and ports. */
  readonly after: ClusterObjects;
  /** The same if it had nothing. */
  readonly without: ClusterObjects;
  readonly pods: readonly TenantPod[];
  /** The administrator's items for `tenant` come before the others. */
  readonly tenantFirst: boolean;
  readonly options: WorldOptions;
}

export interface WorldOptions {
  readonly childSaScope: 'service' | 'node';
  readonly strict: boolean;
  readonly nodeTraffic: boolean;
  readonly protectUnlisted: boolean;
}

const indexOf = (name: NodeName): number => NODES.indexOf(name) + 1;
export const nodeAddress = (name: NodeName): string => `192.0.2.${10 + indexOf(name)}`;

const rarely = (weight: number): fc.Arbitrary<boolean> =>
  fc.integer({ min: 0, max: weight }).map((value) => value === weight);
const port = fc.constantFrom(...PORTS);

interface PodDraft {
  readonly node: NodeName;
  readonly hostNetwork: boolean;
  readonly app: string;
  readonly www: number;
}

const podDraft = (hostNetwork: fc.Arbitrary<boolean>): fc.Arbitrary<PodDraft> =>
  fc.record({ node: fc.constantFrom(...NODES), hostNetwork, app: fc.constantFrom('x', 'y'), www: port });

interface ServiceDraft {
  readonly name: string;
  readonly manual: boolean;
  readonly app: string;
  readonly families: readonly ('IPv4' | 'IPv6')[];
  readonly ports: readonly { protocol: string; port: number; targetPort: number | string }[];
}

const serviceDraft = (name: string): fc.Arbitrary<ServiceDraft> =>
  fc.record({
    name: fc.constant(name),
    manual: rarely(4),
    app: fc.constantFrom('x', 'y'),
    families: fc.constantFrom(['IPv4'] as const, ['IPv4', 'IPv6'] as const),
    ports: fc.array(
      fc.record({
        protocol: fc.constantFrom('TCP', 'UDP'),
        port,
        targetPort: fc.oneof<fc.Arbitrary<number | string>[]>(port, port, fc.constant('www')),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  });

/** What the user of a namespace can change of its pods. */
interface PodTweak {
  readonly labels: Readonly<Record<string, string>>;
  readonly www: number;
  readonly annotations: Readonly<Record<string, string>>;
}

const podTweak: fc.Arbitrary<PodTweak> = fc.record({
  labels: fc.constantFrom<Record<string, string>[]>(
    { app: 'x' },
    { app: 'y' },
    {},
    { 'k8s-app': 'kube-dns' },
  ),
  www: fc.constantFrom(1, 2, 3, API_PORT),
  annotations: fc.constantFrom<Record<string, string>[]>(
    {},
    { 'kubernetes.io/config.mirror': 'm', 'kubernetes.io/config.hash': 'uid-kube-system-0' },
    { 'trapline.io/pod-cidrs': '10.244.2.0/24' },
  ),
});

/**
 * What a slice that somebody writes by hand says. `address`: where in the list of all addresses. It does not
 * say that Kubernetes' own controller made it: the admission policy of the chart lets nobody else say that.
 */
interface Forged {
  readonly service: string;
  readonly address: number;
  readonly nodeName: string | undefined;
  readonly pod: number | undefined;
  readonly ports: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly port: number | null;
  }[];
}

const forged: fc.Arbitrary<Forged> = fc.record({
  service: fc.constantFrom('web', 'web', 'db', 'dns'),
  address: fc.nat({ max: 1_000 }),
  nodeName: fc.constantFrom(undefined, 'a', 'b', 'c', 'nowhere'),
  pod: fc.option(fc.nat({ max: 7 }), { nil: undefined }),
  ports: fc.array(
    fc.record({
      name: fc.constantFrom('p0', 'p1', ''),
      protocol: fc.constantFrom('TCP', 'UDP'),
      port: fc.constantFrom<(number | null)[]>(1, 2, 3, API_PORT, null),
    }),
    { minLength: 1, maxLength: 2 },
  ),
});

/** All that the user of `tenant` has written. */
interface Tenant {
  readonly services: readonly ServiceDraft[];
  readonly tweaks: readonly PodTweak[];
  readonly honest: boolean;
  readonly forged: readonly Forged[];
}

const tenant: fc.Arbitrary<Tenant> = fc.record({
  services: fc
    .tuple(serviceDraft('web'), serviceDraft('db'), serviceDraft('dns'))
    .chain((all) => fc.subarray([...all])),
  tweaks: fc.array(podTweak, { minLength: 4, maxLength: 4 }),
  honest: rarely(3).map((not) => !not),
  forged: fc.array(forged, { maxLength: 2 }),
});

interface ItemDraft {
  readonly service: string;
  readonly ports: string;
}

const itemPorts = fc.constantFrom(
  'tcp/1',
  'udp/1',
  'tcp/1,udp/2',
  'tcp/2-3',
  'tcp/*',
  '*',
  'tcp/1-3,udp/1-3',
);
const itemDraft = (services: readonly string[]): fc.Arbitrary<ItemDraft> =>
  fc.record({ service: fc.constantFrom(...services), ports: itemPorts });

/** Names of items. Their order decides in the model, so a tenant's may come first. */
const ITEM_NAMES = ['aa', 'kube-dns', 'mm', 'zz', 'web', 'pods'] as const;

const draft = fc.record({
  own: fc.array(podDraft(rarely(6)), { minLength: 1, maxLength: 4 }),
  foreign: fc.array(podDraft(fc.constant(false)), { minLength: 0, maxLength: 4 }),
  services: fc.tuple(serviceDraft('dns'), serviceDraft('web')),
  ownItems: fc.array(itemDraft(['dns', 'web']), { minLength: 1, maxLength: 2 }),
  tenantItems: fc.array(itemDraft(['web', 'db', 'dns', '*']), { minLength: 0, maxLength: 2 }),
  names: fc.shuffledSubarray([...ITEM_NAMES], { minLength: 4, maxLength: 4 }),
  dual: fc.boolean(),
  annotated: fc.boolean(),
  tenantFirst: fc.boolean(),
  before: tenant,
  after: tenant,
  options: fc.record({
    childSaScope: fc.constantFrom('service' as const, 'service' as const, 'node' as const),
    strict: fc.boolean(),
    nodeTraffic: fc.boolean(),
    protectUnlisted: rarely(4).map((not) => !not),
  }),
});

export const tenantWorlds: fc.Arbitrary<TenantWorld> = draft.map(
  ({
    own,
    foreign,
    services,
    ownItems,
    tenantItems,
    names,
    dual,
    annotated,
    tenantFirst,
    before,
    after,
    options,
  }) => {
    const placed = (drafts: readonly PodDraft[], namespace: string, first: number): Placed[] =>
      drafts.map((one, index) => ({
        ...one,
        namespace,
        name: `${namespace}-${index}`,
        addresses: addressesOf(one, first + index, dual),
      }));
    const [mine, theirs] = [placed(own, OTHERS, 10), placed(foreign, TENANT, 20)];
    const ours = {
      nodes: NODES.map((name) => nodeObject(name, dual, annotated)),
      policies: [
        policyObject(
          'p-own',
          ownItems.map((one, index) => itemObject(names[index], OTHERS, one)),
        ),
        policyObject(
          tenantFirst ? 'o-tenant' : 'q-tenant',
          tenantItems.map((one, index) => itemObject(names[2 + index], TENANT, one)),
        ),
      ],
      services: services.map((one) => serviceObject(one, OTHERS)),
      endpointSlices: services.flatMap((one) => slicesOf(one, OTHERS, mine)),
      pods: mine.map((pod) => podObject(pod, { app: pod.app }, pod.www, {})),
    };
    const all = [...mine, ...theirs];
    const world = (of: Tenant): ClusterObjects => withTenant(ours, of, { theirs, all });
    const pods = all.map(({ namespace, name, node, addresses, hostNetwork }) => ({
      namespace,
      name,
      node,
      addresses,
      hostNetwork,
    }));
    const nothing: Tenant = { services: [], tweaks: [], honest: true, forged: [] };
    const without = { ...world(nothing), pods: ours.pods };
    return { before: world(before), after: world(after), without, pods, tenantFirst, options };
  },
);

type Placed = PodDraft & TenantPod;

/** The objects of the user of `tenant` beside those of all others. */
function withTenant(
  ours: ClusterObjects,
  { services, tweaks, honest, forged: forgeries }: Tenant,
  { theirs, all }: { readonly theirs: readonly Placed[]; readonly all: readonly Placed[] },
): ClusterObjects {
  const tweaked = theirs.map((pod, index) => {
    const { labels, www, annotations } = tweaks[index % tweaks.length] ?? {
      labels: {},
      www: 1,
      annotations: {},
    };
    return { pod: { ...pod, app: labels.app ?? '', www }, object: podObject(pod, labels, www, annotations) };
  });
  const addresses = [
    ...all.flatMap((pod) => pod.addresses),
    ...NODES.map(nodeAddress),
    ...OUTSIDE,
    ...UNUSED,
    '127.0.0.1',
    '10.96.0.10',
  ];
  return {
    ...ours,
    services: [...ours.services, ...services.map((one) => serviceObject(one, TENANT))],
    pods: [...ours.pods, ...tweaked.map(({ object }) => object)],
    endpointSlices: [
      ...ours.endpointSlices,
      ...(honest
        ? services.flatMap((one) =>
            slicesOf(
              one,
              TENANT,
              tweaked.map(({ pod }) => pod),
            ),
          )
        : []),
      ...forgeries.map(({ service, address, nodeName, pod, ports }, index): EndpointSlice => {
        const text = addresses[address % addresses.length] ?? '';
        const target = pod === undefined ? undefined : all[pod % all.length];
        return {
          kind: 'EndpointSlice',
          metadata: {
            name: `forged-${index}`,
            namespace: TENANT,
            labels: {
              'kubernetes.io/service-name': service,
            },
          },
          addressType: text.includes(':') ? 'IPv6' : 'IPv4',
          endpoints: [
            {
              addresses: [text],
              ...(nodeName === undefined ? {} : { nodeName }),
              ...(target === undefined
                ? {}
                : { targetRef: { kind: 'Pod', name: target.name, namespace: target.namespace } }),
            },
          ],
          ports: ports.map((one) => ({ ...one })),
        };
      }),
    ],
  };
}

function addressesOf({ node, hostNetwork }: PodDraft, index: number, dual: boolean): string[] {
  if (hostNetwork) {
    return [nodeAddress(node)];
  }
  const four = `10.244.${indexOf(node)}.${index}`;
  return dual ? [four, `fd00:${indexOf(node)}::${index}`] : [four];
}

function nodeObject(name: NodeName, dual: boolean, annotated: boolean): ClusterObjects['nodes'][number] {
  const cidrs = [`10.244.${indexOf(name)}.0/24`, ...(dual ? [`fd00:${indexOf(name)}::/64`] : [])];
  const [first = ''] = cidrs;
  return {
    kind: 'Node',
    metadata: { name, ...(annotated ? { annotations: { 'trapline.io/pod-cidrs': cidrs.join(',') } } : {}) },
    spec: { podCIDR: first, podCIDRs: cidrs },
    status: { addresses: [{ type: 'InternalIP', address: nodeAddress(name) }] },
  };
}

function itemObject(name: string | undefined, servicens: string, { service, ports }: ItemDraft): object {
  return { name, servicename: service, servicens, serviceports: ports };
}

function policyObject(name: string, policies: readonly object[]): ClusterObjects['policies'][number] {
  return {
    apiVersion: 'starlingx.io/v1',
    kind: 'IPsecPolicy',
    metadata: { name },
    spec: { policies: [...policies] },
  };
}

function serviceObject({ name, manual, app, families, ports }: ServiceDraft, namespace: string): Service {
  return {
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      selector: manual ? null : { app },
      ipFamilies: [...families],
      ports: ports.map((one, index) => ({ ...one, name: `p${index}` })),
    },
  };
}

function podObject(
  { namespace, name, node, hostNetwork, addresses }: Placed,
  labels: Readonly<Record<string, string>>,
  www: number,
  annotations: Readonly<Record<string, string>>,
): Pod {
  return {
    kind: 'Pod',
    metadata: { name, namespace, uid: `uid-${name}`, labels: { ...labels }, annotations: { ...annotations } },
    spec: {
      nodeName: node,
      hostNetwork,
      containers: [{ ports: [{ name: 'www', containerPort: www, protocol: 'TCP' }] }],
    },
    status: { phase: 'Running', podIPs: addresses.map((ip) => ({ ip })) },
  };
}

/** As the EndpointSlice controller makes them. */
function slicesOf(
  { name, manual, app, families, ports }: ServiceDraft,
  namespace: string,
  pods: readonly Placed[],
): EndpointSlice[] {
  const chosen = pods.filter((pod) => manual || pod.app === app);
  return chosen.flatMap((pod) =>
    pod.addresses
      .filter((address) => families.includes(address.includes(':') ? 'IPv6' : 'IPv4'))
      .map(
        (address, index): EndpointSlice => ({
          kind: 'EndpointSlice',
          metadata: {
            name: `${name}-${pod.name}-${index}`,
            namespace,
            labels: {
              'kubernetes.io/service-name': name,
              ...(manual
                ? {}
                : { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' }),
            },
          },
          addressType: address.includes(':') ? 'IPv6' : 'IPv4',
          endpoints: [
            {
              addresses: [address],
              nodeName: pod.node,
              ...(manual ? {} : { targetRef: { kind: 'Pod', name: pod.name, namespace } }),
            },
          ],
          ports: ports.map(({ protocol, targetPort }, number) => ({
            name: `p${number}`,
            protocol,
            port: typeof targetPort === 'number' ? targetPort : pod.www,
          })),
        }),
      ),
  );
}
