import { BlockList } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { buildNodeCache } from '../../../src/agent/model/model.ts';
import type { ClusterObjects, EndpointSlice, Pod, Service } from '../../../src/cluster/objects.ts';
import { planHairpin } from '../../../src/ipsec/hairpin/plan.ts';
import { planConnections } from '../../../src/ipsec/plan/connections.ts';
import { PRIORITY_FIRST, REQID_ANY } from '../../../src/ipsec/plan/ours.ts';
import { planPolicies } from '../../../src/ipsec/plan/plan.ts';
import { KINDS } from '../../../src/ipsec/plan/policies/maker.ts';
import type { Direction, XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import { cluster, item, policy } from '../../agent/model/cluster.ts';

/**
 * DESIGN 4: for any cluster and any flow between pods of two nodes, the first-matching policies of the two plans name the same child, in both
 * directions, or neither protects it. What goes to a protected port number of a pod that is not protected goes as ESP and is let in as such,
 * and so does its answer.
 */

const NODES = ['a', 'b', 'c'] as const;
type NodeName = (typeof NODES)[number];
const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;

/** Whatever child brings it. */
const ANY = 'any child';

/** Small, so that source and destination ports, and the ports of several entries, meet often. */
const port = fc.integer({ min: 1, max: 4 });

interface PodSeed {
  readonly node: NodeName;
  readonly labels: Readonly<Record<string, string>>;
  /** The port named www; of a second one of that name, only the pod itself knows. */
  readonly www: number;
  readonly second: number;
  readonly hostNetwork: boolean;
}

const podSeed: fc.Arbitrary<PodSeed> = fc.record({
  node: fc.constantFrom(...NODES),
  labels: fc.record({ app: fc.constantFrom('x', 'y'), tier: fc.constantFrom('f', 'b') }),
  www: port,
  second: port,
  hostNetwork: fc.oneof(
    { weight: 9, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
});

const servicePort = fc.record({
  protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
  port,
  targetPort: fc.oneof(port, fc.constant('www')),
});
type ServicePort = { protocol: string; port: number; targetPort: number | string };

const SERVICES = ['s', 't', 'u'] as const;
const serviceSeed = fc.record({
  /** Without a selector: somebody else writes its slices. */
  manual: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  families: fc.constantFrom(['IPv4'] as const, ['IPv6'] as const, ['IPv4', 'IPv6'] as const),
  selector: fc.constantFrom({ app: 'x' }, { tier: 'f' }, { app: 'y', tier: 'b' }),
  ports: fc.array(servicePort, { minLength: 1, maxLength: 3 }),
});

const portSpec = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(fc.constantFrom(...PROTOCOLS), port).map(([proto, n]) => `${proto}/${n}`),
  },
  { weight: 1, arbitrary: fc.constantFrom('tcp/*', 'udp/2-4', 'sctp/*') },
  { weight: 1, arbitrary: fc.constant('*') },
);
const itemSeed = fc.record({
  service: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...SERVICES) },
    { weight: 1, arbitrary: fc.constant('*') },
  ),
  mesh: fc.oneof({ weight: 30, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  specs: fc.array(portSpec, { minLength: 1, maxLength: 3 }),
});

interface World {
  readonly objects: ClusterObjects;
  readonly pods: readonly {
    readonly node: NodeName;
    readonly addresses: readonly string[];
    readonly name: string;
  }[];
  readonly scope: 'service' | 'node';
}

const world: fc.Arbitrary<World> = fc
  .record({
    pods: fc.array(podSeed, { minLength: 2, maxLength: 6 }),
    services: fc.array(serviceSeed, { minLength: 1, maxLength: 3 }),
    items: fc.array(itemSeed, { minLength: 1, maxLength: 4 }),
    dual: fc.boolean(),
    scope: fc.constantFrom('service' as const, 'service' as const, 'node' as const),
    names: fc.shuffledSubarray(['e1', 'e2', 'e3', 'e4'], { minLength: 4 }),
  })
  .map(({ pods, services, items, dual, scope, names }) => {
    const placed = pods.map((seed, index) => ({
      ...seed,
      name: `pod-${index}`,
      addresses: addressesOf(seed, index, dual),
    }));
    const named = services.map((seed, index) => ({ ...seed, name: SERVICES[index] ?? '' }));
    const objects = cluster({
      nodes: NODES.map((name) => nodeObject(name, dual)),
      pods: placed.map(podObject),
      services: named.map(serviceObject),
      endpointSlices: named.flatMap((service) => slicesOf(service, placed)),
      policies: items.map(({ service, mesh, specs }, index) => {
        const more = mesh ? { servicename: '*', servicens: '*' } : { servicename: service };
        return policy(`p-${index}`, item(names[index] ?? '', mesh ? '*' : specs.join(','), more));
      }),
    });
    return { objects, scope, pods: placed.filter(({ hostNetwork }) => !hostNetwork) };
  });

const indexOf = (node: NodeName): number => NODES.indexOf(node) + 1;

/** Two pod CIDRs to a node, pods spread over both. */
function addressesOf({ node, hostNetwork }: PodSeed, index: number, dual: boolean): string[] {
  if (hostNetwork) {
    return [`10.0.0.${indexOf(node)}`];
  }
  const four = `10.${1 + (index % 2)}.${indexOf(node)}.${index + 1}`;
  return dual ? [four, `fd00:${indexOf(node)}::${index + 1}`] : [four];
}

function nodeObject(name: NodeName, dual: boolean): ClusterObjects['nodes'][number] {
  const index = indexOf(name);
  const four = [`10.1.${index}.0/24`, `10.2.${index}.0/24`];
  return {
    kind: 'Node',
    metadata: {
      name,
      annotations: { 'trapline.io/pod-cidrs': [...four, ...(dual ? [`fd00:${index}::/64`] : [])].join(',') },
    },
    status: { addresses: [{ type: 'InternalIP', address: `10.0.0.${index}` }] },
  };
}

type Placed = PodSeed & { readonly name: string; readonly addresses: readonly string[] };

function podObject({ name, node, labels, www, second, hostNetwork, addresses }: Placed): Pod {
  const ports = [www, second].flatMap((containerPort) =>
    PROTOCOLS.map((proto) => ({ name: 'www', containerPort, protocol: proto.toUpperCase() })),
  );
  return {
    kind: 'Pod',
    metadata: { name, namespace: 'ns', uid: name, labels: { ...labels } },
    spec: { nodeName: node, hostNetwork, containers: [{ ports }] },
    status: { phase: 'Running', podIPs: addresses.map((ip) => ({ ip })) },
  };
}

type NamedService = {
  name: string;
  selector: Record<string, string>;
  manual: boolean;
  families: readonly ('IPv4' | 'IPv6')[];
  ports: ServicePort[];
};

function serviceObject({ name, selector, manual, families, ports }: NamedService): Service {
  return {
    kind: 'Service',
    metadata: { name, namespace: 'ns' },
    spec: {
      ...(manual ? {} : { selector }),
      ipFamilies: [...families],
      ports: ports.map((each, index) => ({ ...each, name: `p${index}` })),
    },
  };
}

/** What the EndpointSlice controller makes: a slice for each set of resolved ports and each family. */
function slicesOf(service: NamedService, pods: readonly Placed[]): EndpointSlice[] {
  const selected = pods.filter((pod) =>
    Object.entries(service.selector).every(([label, value]) => pod.labels[label] === value),
  );
  return selected.flatMap((pod) =>
    pod.addresses
      .filter((address) => service.families.includes(address.includes(':') ? 'IPv6' : 'IPv4'))
      .map((address, family) => ({
        kind: 'EndpointSlice',
        metadata: {
          name: `${service.name}-${pod.name}-${family}`,
          namespace: 'ns',
          labels: { 'kubernetes.io/service-name': service.name },
        },
        addressType: address.includes(':') ? 'IPv6' : 'IPv4',
        endpoints: [
          {
            addresses: [address],
            nodeName: pod.node,
            targetRef: { kind: 'Pod', name: pod.name, namespace: 'ns' },
          },
        ],
        ports: service.ports.map((each, index) => ({
          name: `p${index}`,
          protocol: each.protocol,
          port: typeof each.targetPort === 'number' ? each.targetPort : pod.www,
        })),
      })),
  );
}

interface NodePlan {
  readonly policies: readonly XfrmPolicy[];
  /** reqid to the child as both ends name it: `<child> of <serving node>`. */
  readonly children: ReadonlyMap<number, string>;
  readonly cache: Parameters<typeof planHairpin>[0];
}

function planOf({ objects, pods, scope }: World, nodeName: NodeName): NodePlan {
  const { content } = buildNodeCache({
    objects,
    nodeName,
    childSaScope: scope,
    previous: null,
    knownItems: new Map(),
    now: 0,
  });
  const cache = { schema: 1 as const, generation: 1, writtenAt: 0, ...content };
  const attachments = pods
    .filter(({ node }) => node === nodeName)
    .map(({ name, addresses }) => ({ pod: { namespace: 'ns', name, uid: name }, addresses: [...addresses] }));
  const children = new Map([[REQID_ANY, ANY]]);
  for (const { peer, children: configs } of planConnections(cache)) {
    for (const { name, reqid } of configs) {
      const child = name.replace(/_(e|in)gress$/, '');
      children.set(
        reqid,
        name === child ? child : `${child} of ${name.endsWith('_egress') ? peer : nodeName}`,
      );
    }
  }
  return { policies: planPolicies(cache, attachments), children, cache };
}

interface Flow {
  readonly src: string;
  readonly dst: string;
  readonly proto: string;
  readonly sport: number;
  readonly dport: number;
}

function within(cidr: string, address: string): boolean {
  const [network = '', bits] = cidr.split('/');
  const family = network.includes(':') ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}

interface Chosen {
  /** The children that the kernel can choose, with the tunnel's ends. Among equal policies it takes the older: more than one name would be chance. */
  readonly names: readonly string[];
  /** Plaintext is let in as well. */
  readonly lenient: boolean;
  /** By the policy of a protected address, not by one for endpoints that are not listed yet. */
  readonly listed: boolean;
}

/** What the matching policies of the best priority say of a packet. */
function chosen({ policies, children }: NodePlan, directions: readonly Direction[], flow: Flow): Chosen {
  const matching = policies.filter(
    ({ dir, selector: { src, dst, proto, sport, dport } }) =>
      directions.includes(dir) &&
      (proto === 'any' || proto === flow.proto) &&
      (sport === 0 || sport === flow.sport) &&
      (dport === 0 || dport === flow.dport) &&
      within(src, flow.src) &&
      within(dst, flow.dst),
  );
  const best = Math.min(...matching.map(({ priority }) => priority));
  const first = matching.filter(({ priority }) => priority === best);
  const names = first.map(
    ({ template: { src, dst, reqid } }) => `${children.get(reqid) ?? `reqid ${reqid}`}, ${src} to ${dst}`,
  );
  return {
    names: [...new Set(names)],
    lenient: first.every(({ template }) => template.level === 'use'),
    listed: best < PRIORITY_FIRST + KINDS.unlisted,
  };
}

/** What is sent is let in, and under no other name unless all are. */
function arrives(sent: Chosen, received: Chosen): boolean {
  const [name = '', ...others] = sent.names;
  const [, ends] = name.split(', ');
  return name === ''
    ? received.lenient
    : others.length === 0 && [name, `${ANY}, ${ends}`].includes(received.names.join(' or '));
}

interface Case {
  readonly world: World;
  readonly from: number;
  readonly to: number;
  readonly family: number;
  readonly proto: string;
  readonly sport: number;
  readonly dport: number;
}

const flowCase: fc.Arbitrary<Case> = fc.record({
  world,
  from: fc.nat(),
  to: fc.nat(),
  family: fc.nat(),
  proto: fc.constantFrom(...PROTOCOLS, 'icmp'),
  sport: fc.integer({ min: 1, max: 5 }),
  dport: port,
});

test('two nodes choose the same child for a flow, both ways, or neither protects it', (t) => {
  let protectedFlows = 0;
  fc.assert(
    fc.property(flowCase, ({ world: given, from, to, family, ...rest }) => {
      const client = given.pods[from % given.pods.length];
      const others = given.pods.filter(({ node }) => node !== client?.node);
      const server = others[to % others.length];
      if (client === undefined || server === undefined) {
        return;
      }
      const at = family % Math.min(client.addresses.length, server.addresses.length);
      const [src = '', dst = ''] = [client.addresses[at], server.addresses[at]];
      const proto = rest.proto === 'icmp' && src.includes(':') ? 'icmpv6' : rest.proto;
      const ports = proto.startsWith('icmp')
        ? { sport: 0, dport: 0 }
        : { sport: rest.sport, dport: rest.dport };
      const there: Flow = { src, dst, proto, ...ports };
      const back: Flow = { src: dst, dst: src, proto, sport: ports.dport, dport: ports.sport };
      const [a, b] = [planOf(given, client.node), planOf(given, server.node)];
      const [sent, received] = [chosen(a, ['out'], there), chosen(b, ['fwd', 'in'], there)];
      const [answered, heard] = [chosen(b, ['out'], back), chosen(a, ['fwd', 'in'], back)];
      const said = JSON.stringify({ there, sent, received, answered, heard });
      if (!arrives(sent, received)) {
        throw new Error(`the client's packet: ${said}`);
      }
      if (!arrives(answered, heard)) {
        throw new Error(`the server's packet: ${said}`);
      }
      if (sent.names.length > 0 && answered.names.length === 0) {
        throw new Error(`answered in the clear: ${said}`);
      }
      const [childThere, childBack] = [sent, answered].map(({ names }) => names[0]?.split(', ')[0]);
      if (sent.listed !== answered.listed || (sent.listed && childThere !== childBack)) {
        throw new Error(`there and back: ${said}`);
      }
      protectedFlows += sent.listed ? 1 : 0;
    }),
    { numRuns: 3_000, includeErrorInReport: true },
  );
  t.log(`${protectedFlows} flows were protected`);
  t.true(protectedFlows > 300, 'the property says something only where flows are protected');
});

test('what a tunnel brings to a pod that ADD has not come to is not answered in the clear', (t) => {
  let letIn = 0;
  fc.assert(
    fc.property(flowCase, ({ world: given, from, to, family, proto, sport, dport }) => {
      const client = given.pods[from % given.pods.length];
      const others = given.pods.filter(({ node }) => node !== client?.node);
      const server = others[to % others.length];
      if (client === undefined || server === undefined || proto === 'icmp') {
        return;
      }
      const at = family % Math.min(client.addresses.length, server.addresses.length);
      const [src = '', dst = ''] = [client.addresses[at], server.addresses[at]];
      const [a, b] = [planOf(given, client.node), planOf(beforeAdd(given, server), server.node)];
      const sent = chosen(a, ['out'], { src, dst, proto, sport, dport });
      const received = chosen(b, ['fwd', 'in'], { src, dst, proto, sport, dport });
      if (sent.names.length > 0 && arrives(sent, received)) {
        const answered = chosen(b, ['out'], { src: dst, dst: src, proto, sport: dport, dport: sport });
        if (answered.names.length === 0) {
          throw new Error(JSON.stringify({ src, dst, proto, sport, dport, sent, received, answered }));
        }
        letIn += 1;
      }
    }),
    { numRuns: 2_000, includeErrorInReport: true },
  );
  t.true(letIn > 200, 'the property says something only where tunnels bring packets');
});

/** A pod that nobody has read of on its node, and that has no attachment yet. */
function beforeAdd({ objects, pods, scope }: World, { name }: World['pods'][number]): World {
  return {
    scope,
    pods: pods.filter((pod) => pod.name !== name),
    objects: {
      ...objects,
      pods: objects.pods.map((pod) =>
        pod.metadata.name === name ? { ...pod, status: { phase: 'Pending' } } : pod,
      ),
      endpointSlices: objects.endpointSlices.filter(
        ({ endpoints }) => endpoints?.[0]?.targetRef?.name !== name,
      ),
    },
  };
}

test('what a client may send through DNAT to a protected port goes through the hairpin', (t) => {
  fc.assert(
    fc.property(world, fc.constantFrom(...NODES), (given, node) => {
      const { policies, cache } = planOf(given, node);
      const hairpin = planHairpin(cache);
      const missed = policies.filter(({ dir, selector: { proto, dport, dst } }) => {
        const egress = dir === 'out' && !proto.startsWith('icmp') && (cache.mesh || /\/(32|128)$/.test(dst));
        const covered = (hairpin?.ports ?? []).some(
          (range) =>
            proto === 'any' ||
            (range.proto === proto &&
              (dport === 0
                ? range.last - range.first === 65535
                : range.first <= dport && dport <= range.last)),
        );
        const [network = ''] = dst.split('/');
        const reached = [...(hairpin?.podCidrs[4] ?? []), ...(hairpin?.podCidrs[6] ?? [])].some((cidr) =>
          within(cidr, network),
        );
        const host = network.startsWith('10.0.0.');
        return egress && !host && !(covered && reached);
      });
      if (missed.length > 0) {
        throw new Error(JSON.stringify({ missed, hairpin }));
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});
