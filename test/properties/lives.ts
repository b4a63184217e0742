import fc from 'fast-check';
import type { IPsecPolicy, Node } from '../../src/cluster/objects.ts';
import type { ClusterObjects, Snapshot } from '../../src/cluster/snapshot.ts';
import { PRIORITY_FIRST } from '../../src/ipsec/plan/ours.ts';
import { planPolicies } from '../../src/ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../src/ipsec/plan/types.ts';
import type { NodeCache, NodeCacheContent } from '../../src/rundir/schema.ts';
import { NODES, type NodeName } from '../helpers/unit/worlds.ts';
import type { Flow } from '../ipsec/plan/flow.ts';
import { attachmentsOf, verdictOf } from './plans.ts';
import { OTHERS, type TenantWorld, tenantWorlds } from './tenants.ts';

/** Lives of agents: what the cluster says, one thing after the other, and restarts in between. */

/** What somebody does to the cluster, or to the agent. None of it withdraws anything. */
export type LifeEvent =
  | { readonly kind: 'restart' }
  /** The edit of the item breaks it, or is mended. */
  | { readonly kind: 'break'; readonly item: number; readonly how: (typeof BREAKS)[number] }
  | { readonly kind: 'rename' | 'widen' | 'mend'; readonly item: number }
  /** Another policy takes the item over, before the first one lets it go. */
  | { readonly kind: 'split'; readonly item: number }
  | { readonly kind: 'delete service' | 'replace service' | 'restore service'; readonly service: number }
  | { readonly kind: 'spoil node'; readonly node: NodeName; readonly how: (typeof SPOILS)[number] }
  | { readonly kind: 'mend node'; readonly node: NodeName }
  | { readonly kind: 'empty' | 'refill'; readonly list: 'policies' | 'nodes' };

const BREAKS = ['tcp/60-50', '', 'nothing', 'name', 'namespace', 'policies'] as const;
const SPOILS = ['no address', 'bad address', 'bad annotation', 'no CIDR', 'bad CIDR', 'unread'] as const;
const MINUTE = 60_000;

const number = fc.nat({ max: 3 });
const event: fc.Arbitrary<LifeEvent> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'restart' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('break' as const),
      item: number,
      how: fc.constantFrom(...BREAKS),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('rename' as const, 'widen' as const, 'mend' as const),
      item: number,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('split' as const), item: number }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'delete service' as const,
        'replace service' as const,
        'restore service' as const,
      ),
      service: number,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('spoil node' as const),
      node: fc.constantFrom(...NODES),
      how: fc.constantFrom(...SPOILS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('mend node' as const), node: fc.constantFrom(...NODES) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('empty' as const, 'refill' as const),
      list: fc.constantFrom('policies' as const, 'nodes' as const),
    }),
  },
);

export interface Life {
  readonly world: TenantWorld;
  /** With the minutes that pass before each: together less than anything is remembered for. */
  readonly events: readonly { readonly event: LifeEvent; readonly minutes: number }[];
}

export const lives: fc.Arbitrary<Life> = fc.record({
  world: tenantWorlds.filter(({ without: { policies } }) => policies.length > 0),
  events: fc.array(fc.record({ event, minutes: fc.constantFrom(0, 0, 1) }), { minLength: 1, maxLength: 7 }),
});

/** What an agent leaves behind when it ends. */
export interface Left {
  readonly nodeName: NodeName;
  readonly options: TenantWorld['options'];
  /** node.json; null before the first agent. */
  readonly cache: NodeCache | null;
  /** The text of whatever else it keeps; of the same node always the same object. */
  readonly runDir: Map<string, string>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Starts an agent's model where another has left off. It gives the cache for each snapshot. @throws
 * ModelError
 */
export type Start = (left: Left) => (snapshot: Snapshot) => NodeCacheContent;

/** How the cluster is at one time. */
interface Cluster {
  readonly edits: Map<
    number,
    { broken?: (typeof BREAKS)[number]; renamed?: boolean; widened?: boolean; split?: boolean }
  >;
  readonly deleted: Set<string>;
  readonly spoiled: Map<NodeName, (typeof SPOILS)[number]>;
  readonly empty: Set<'policies' | 'nodes'>;
  generation: number;
}

function happen(cluster: Cluster, one: LifeEvent, services: readonly string[]): void {
  const { edits, deleted, spoiled, empty } = cluster;
  const serviceOf = (index: number): string => services[index % services.length] ?? '';
  switch (one.kind) {
    case 'restart':
    case 'replace service':
      break;
    case 'break':
      edits.set(one.item, { ...edits.get(one.item), broken: one.how });
      cluster.generation += 1;
      break;
    case 'rename':
    case 'widen':
    case 'split':
      edits.set(one.item, {
        ...edits.get(one.item),
        [one.kind === 'rename' ? 'renamed' : one.kind === 'widen' ? 'widened' : 'split']: true,
      });
      cluster.generation += 1;
      break;
    case 'mend':
      edits.delete(one.item);
      cluster.generation += 1;
      break;
    case 'delete service':
      deleted.add(serviceOf(one.service));
      break;
    case 'restore service':
      deleted.delete(serviceOf(one.service));
      break;
    case 'spoil node':
      spoiled.set(one.node, one.how);
      break;
    case 'mend node':
      spoiled.delete(one.node);
      break;
    case 'empty':
      empty.add(one.list);
      break;
    case 'refill':
      empty.delete(one.list);
      break;
  }
}

/**
 * The snapshot of the source. In the first generation the controller has enabled all; a later one begins
 * anew.
 */
function snapshotOf(base: ClusterObjects, { edits, deleted, spoiled, empty, generation }: Cluster): Snapshot {
  const policies = base.policies.flatMap((policy) => policiesFrom(policy, edits, generation));
  const nodes = base.nodes.flatMap((node) => nodeFrom(node, spoiled.get(node.metadata.name as NodeName)));
  const unread = base.nodes.flatMap(({ metadata: { name } }) =>
    spoiled.get(name as NodeName) === 'unread' ? [name] : [],
  );
  const namesOf = (list: 'policies' | 'nodes'): ReadonlySet<string> =>
    new Set(empty.has(list) ? base[list].map(({ metadata: { name } }) => name) : []);
  const snapshot = {
    objects: {
      ...base,
      policies: empty.has('policies') ? [] : policies,
      nodes: empty.has('nodes') ? [] : nodes,
      services: base.services.filter(({ metadata: { name } }) => !deleted.has(name)),
      endpointSlices: base.endpointSlices.filter(
        ({ metadata: { labels } }) => !deleted.has(labels?.['kubernetes.io/service-name'] ?? ''),
      ),
    },
    problems: [],
    unread: { nodes: new Set(empty.has('nodes') ? [] : unread) },
    missing: { policies: namesOf('policies'), nodes: namesOf('nodes') },
    stale: '',
  };
  return snapshot;
}

function policiesFrom(policy: IPsecPolicy, edits: Cluster['edits'], generation: number): IPsecPolicy[] {
  const items = (policy.spec?.policies ?? []) as Record<string, unknown>[];
  const edited = items.map((item, index) => {
    const { broken, renamed, widened } = edits.get(index) ?? {};
    const good = {
      ...item,
      ...(renamed === true ? { name: `${item.name}-new` } : {}),
      ...(widened === true ? { servicename: '*' } : {}),
    };
    switch (broken) {
      case undefined:
        return good;
      case 'nothing':
        return null;
      case 'name':
        return { ...good, name: 'Not A Name' };
      case 'namespace':
        return { ...good, servicens: '*', servicename: 'dns' };
      case 'policies':
        return { ...good, serviceports: 53 };
      default:
        return { ...good, serviceports: broken };
    }
  });
  const split = items.filter((_, index) => edits.get(index)?.split === true);
  const status = {
    observedGeneration: generation,
    phase: generation === 1 ? 'Required' : 'Accepting',
  } as const;
  const metadata = { ...policy.metadata, uid: `uid-${policy.metadata.name}`, generation };
  return [
    { ...policy, metadata, spec: { policies: edited }, status },
    ...(split.length === 0
      ? []
      : [
          {
            ...policy,
            metadata: { name: `${policy.metadata.name}-split`, uid: 'uid-split', generation: 1 },
            spec: { policies: split },
            status: { observedGeneration: 1, phase: 'Accepting' as const },
          },
        ]),
  ];
}

function nodeFrom(node: Node, how: (typeof SPOILS)[number] | undefined): Node[] {
  const annotate = (value: string): Node => ({
    ...node,
    metadata: { ...node.metadata, annotations: { 'trapline.io/pod-cidrs': value } },
  });
  switch (how) {
    case undefined:
      return [node];
    case 'no address':
      return [{ ...node, status: { addresses: [] } }];
    case 'bad address':
      return [{ ...node, status: { addresses: [{ type: 'InternalIP', address: '192.0.2.300' }] } }];
    case 'bad annotation':
      return [annotate('10.244.1.0/24;10.244.9.0/24')];
    case 'no CIDR':
      return [{ ...node, metadata: { name: node.metadata.name }, spec: {} }];
    case 'bad CIDR':
      return [annotate('10.244.1.0/24x')];
    case 'unread':
      return [];
  }
}

/** What somebody on a peer could send to an address that this node serves, and that has to come as ESP. */
function requiredFlows(cache: NodeCacheContent, { pods }: TenantWorld, nodeName: NodeName): Flow[] {
  const own = new Set(
    pods.filter(({ namespace }) => namespace === OTHERS).flatMap(({ addresses }) => addresses),
  );
  return policiesOf(cache, pods, nodeName).flatMap(({ dir, selector, template: { level } }) => {
    const dst = selector.dst.replace(/\/\d+$/, '');
    return dir !== 'out' && level === 'required' && own.has(dst) && !selector.src.endsWith('/0')
      ? [
          {
            src: insideOf(selector.src),
            dst,
            proto: selector.proto === 'any' ? 'tcp' : selector.proto,
            sport: selector.sport === 0 ? 40_000 : selector.sport,
            dport: selector.dport === 0 ? 9 : selector.dport,
          },
        ]
      : [];
  });
}

function insideOf(cidr: string): string {
  const [network = ''] = cidr.split('/');
  return cidr.endsWith('/24')
    ? network.replace(/0$/, '77')
    : cidr.endsWith('::/64')
      ? `${network}77`
      : network;
}

function policiesOf(
  cache: NodeCacheContent,
  pods: TenantWorld['pods'],
  nodeName: NodeName,
): ReturnType<typeof planPolicies> {
  return planPolicies({ schema: 1, generation: 1, writtenAt: 0, ...cache }, attachmentsOf(pods, nodeName));
}

/** Lives through all of it on every node. What is wrong, or undefined; counts what had to stay required. */
export function forgotten({ world, events }: Life, start: Start, counted = { flows: 0 }): string | undefined {
  const base = ownPart(world);
  const services = base.services.map(({ metadata: { name } }) => name);
  let now = 1_700_000_000_000;
  const cluster: Cluster = {
    edits: new Map(),
    deleted: new Set(),
    spoiled: new Map(),
    empty: new Set(),
    generation: 1,
  };
  const agents = new Map(
    NODES.map((nodeName) => {
      const left = { nodeName, options: world.options, runDir: new Map<string, string>(), now: () => now };
      const agent = { left, cache: null as NodeCache | null, take: start({ ...left, cache: null }) };
      agent.cache = cacheOf(agent.take(snapshotOf(base, cluster)));
      return [nodeName, { agent, required: requiredFlows(agent.cache, world, nodeName) }] as const;
    }),
  );
  for (const [index, { event: one, minutes }] of events.entries()) {
    now += minutes * MINUTE;
    const gone: Cluster | undefined =
      one.kind === 'replace service'
        ? {
            ...cluster,
            deleted: new Set([...cluster.deleted, services[one.service % services.length] ?? '']),
          }
        : undefined;
    happen(cluster, one, services);
    for (const [nodeName, { agent, required }] of agents) {
      if (one.kind === 'restart') {
        agent.take = start({ ...agent.left, cache: agent.cache });
      }
      for (const at of gone === undefined ? [cluster] : [gone, cluster]) {
        try {
          agent.cache = cacheOf(agent.take(snapshotOf(base, at)));
        } catch (error) {
          // What is in force stays, as in src/agent/loop/follow.ts.
          if ((error as Error).name !== 'ModelError') {
            throw error;
          }
        }
        const policies = agent.cache === null ? [] : policiesOf(agent.cache, world.pods, nodeName);
        for (const flow of required) {
          counted.flows += 1;
          const { policies: first } = verdictOf(policies, ['in', 'fwd'], flow);
          if (isBothEnds(first, policies, flow)) {
            continue;
          }
          if (first.length === 0 || first.some(({ template: { level } }) => level !== 'required')) {
            const said = first.length === 0 ? 'plaintext' : 'not required';
            return `event ${index + 1} (${JSON.stringify(one)}) on ${nodeName}: ${JSON.stringify(flow)} is ${said}`;
          }
        }
      }
    }
  }
  return undefined;
}

/**
 * Whether both ends are protected, and a port of the other end is being enabled: of the two policies for the
 * addresses that of the node whose name sorts first decides (docs/design.md, Priorities), and lets plaintext
 * in until its own phase is over. What is sent between them goes as ESP all the time.
 */
function isBothEnds(first: readonly XfrmPolicy[], policies: readonly XfrmPolicy[], flow: Flow): boolean {
  const [decides] = first;
  const rest = policies.filter(({ priority }) => priority > (decides?.priority ?? 0));
  const { policies: second, listed } = verdictOf(rest, ['in', 'fwd'], flow);
  if (decides?.template.level !== 'use') {
    return false;
  }
  // With nodeTraffic, and two protected addresses of nodes, both policies have one key if they name no port:
  // then the kernel has the later one alone.
  const { src, dst, proto } = decides.selector;
  if (src.endsWith('/32') && dst.endsWith('/32') && ['icmp', 'any'].includes(proto)) {
    return true;
  }
  return (
    decides.priority === PRIORITY_FIRST &&
    listed &&
    second.every(({ template: { level } }) => level === 'required')
  );
}

/** The world without the tenant, and with one policy that has items. */
function ownPart({ without }: TenantWorld): ClusterObjects {
  return { ...without, policies: without.policies.filter(({ metadata: { name } }) => name === 'p-own') };
}

const cacheOf = (content: NodeCacheContent): NodeCache => ({
  schema: 1,
  generation: 1,
  writtenAt: 0,
  ...content,
});
