import fc from 'fast-check';
import { NODES, type NodeName } from '../helpers/unit/worlds.ts';
import type { Flow } from '../ipsec/plan/flow.ts';
import { type Made, make, treatmentOf, type Verdict, verdictOf } from './plans.ts';
import { API_PORT, nodeAddress, OTHERS, OUTSIDE, type TenantWorld, tenantWorlds, UNUSED } from './tenants.ts';

/** A change of a world, and the number that chooses the flows that are looked at; or these themselves. */
export interface Case {
  readonly world: TenantWorld;
  readonly seed: number;
  readonly flows?: readonly Flow[];
}

export const cases: fc.Arbitrary<Case> = fc.record({ world: tenantWorlds, seed: fc.nat({ max: 0xffff }) });
const FLOWS = 24;

/** The flows of a case: one end is watched, the other is anything that is not the tenant's. */
function flowsOf({ world, seed }: Case): Flow[] {
  let state = seed;
  const pick = <T>(from: readonly T[]): T => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return from[(state >> 8) % from.length] as T;
  };
  const own = world.pods
    .filter(({ namespace }) => namespace === OTHERS)
    .flatMap(({ addresses }) => addresses);
  const watched = [...own, ...own, ...NODES.map(nodeAddress), ...OUTSIDE];
  const any = [...watched, ...UNUSED];
  return Array.from({ length: FLOWS }, () => {
    const one = pick(watched);
    const other = pick(
      any.filter((address) => address !== one && address.includes(':') === one.includes(':')),
    );
    const proto = pick(['tcp', 'tcp', 'udp', 'udp', one.includes(':') ? 'icmpv6' : 'icmp']);
    const [served, client] = proto.startsWith('icmp') ? [0, 0] : [pick([1, 2, 3, API_PORT]), pick([9, 1])];
    return pick([true, false])
      ? { src: other, dst: one, proto, sport: client, dport: served }
      : { src: one, dst: other, proto, sport: served, dport: client };
  });
}

interface Seen {
  readonly made: Made;
  readonly verdict: Verdict;
}

/** A difference, with what the node would do if the tenant had nothing at all. */
interface Difference {
  readonly before: Seen;
  readonly after: Seen;
  readonly without: Seen;
  /** Addresses that are protected without the tenant. */
  readonly protectedOnes: ReadonlySet<string>;
}

/** Whether the tenant may make a difference: see non-interference.test.ts. */
function isItsOwn(
  { before, after, without, protectedOnes }: Difference,
  { src, dst, proto }: Flow,
  world: TenantWorld,
): boolean {
  const { pods, tenantFirst } = world;
  const isOpen = ({ verdict }: Seen): boolean => verdict.policies.length === 0;
  const addresses = new Set<string>(pods.flatMap((pod) => (pod.hostNetwork ? [] : pod.addresses)));
  const isNobodys = (address: string): boolean =>
    UNUSED.some((one) => one === address) || (addresses.has(address) && !protectedOnes.has(address));
  const staysClosed = !isOpen(before) && !isOpen(after);
  if (tenantFirst && staysClosed && proto.startsWith('icmp')) {
    return true;
  }
  if ([src, dst].some((address) => isByHand(world, address))) {
    return isOpen(without) || staysClosed;
  }
  const listed = [before, after, without].some(({ verdict }) => verdict.listed);
  if (listed) {
    // Where both ends are protected, the child is that of the node whose name sorts first: a namespace that
    // protects an address which nobody else does carries what goes there, whoever sends it.
    return (isNobodys(src) || isNobodys(dst)) && (!without.verdict.listed || staysClosed);
  }
  return isOpen(without) || (staysClosed && !proto.startsWith('icmp'));
}

/** Whether no slice that Kubernetes made protects the address: then what slices by hand say adds up there. */
function isByHand({ without: { policies, endpointSlices } }: TenantWorld, address: string): boolean {
  const items = policies.flatMap(
    ({ spec }) => (spec?.policies ?? []) as { servicename?: unknown; servicens?: unknown }[],
  );
  return !endpointSlices.some(
    ({ metadata: { namespace, labels = {} }, endpoints }) =>
      labels['endpointslice.kubernetes.io/managed-by'] !== undefined &&
      items.some(
        ({ servicename, servicens }) =>
          servicens === namespace &&
          (servicename === '*' || servicename === labels['kubernetes.io/service-name']),
      ) &&
      endpoints?.some(({ addresses }) => addresses.includes(address)),
  );
}

/** The addresses of pods for which a plan has policies of their own. */
function protectedBy(made: Iterable<Made>): ReadonlySet<string> {
  return new Set(
    [...made].flatMap(({ policies }) =>
      policies.flatMap(({ selector: { src, dst } }) =>
        [src, dst].filter((cidr) => /\/(32|128)$/.test(cidr)).map((cidr) => cidr.replace(/\/\d+$/, '')),
      ),
    ),
  );
}

/** What differs, or undefined. Counts protected flows into `counted`. */
export function interference(one: Case, counted = { flows: 0 }): string | undefined {
  const { world } = one;
  const made = new Map<NodeName, { before: Made; after: Made }>(
    NODES.map((nodeName) => {
      const reader = { ...world.options, nodeName, pods: world.pods };
      const before = make(world.before, reader);
      return [nodeName, { before, after: make(world.after, reader, before) }];
    }),
  );
  let alone: ReadonlyMap<NodeName, Made> | undefined;
  const unaided = (): ReadonlyMap<NodeName, Made> => {
    alone ??= new Map(
      NODES.map((nodeName) => [
        nodeName,
        make(world.without, { ...world.options, nodeName, pods: world.pods }),
      ]),
    );
    return alone;
  };
  for (const flow of one.flows ?? flowsOf(one)) {
    for (const [node, { before, after }] of made) {
      for (const directions of [['out'], ['in', 'fwd']] as const) {
        const was = { made: before, verdict: verdictOf(before.policies, directions, flow) };
        const is = { made: after, verdict: verdictOf(after.policies, directions, flow) };
        const [told, tells] = [was, is].map((seen) => treatmentOf(seen.made, seen.verdict));
        counted.flows += was.verdict.listed ? 1 : 0;
        if (told !== tells) {
          const lone = unaided().get(node) ?? before;
          const without = { made: lone, verdict: verdictOf(lone.policies, directions, flow) };
          const protectedOnes = protectedBy(unaided().values());
          if (!isItsOwn({ before: was, after: is, without, protectedOnes }, flow, world)) {
            return `${node} ${directions.join('/')} ${JSON.stringify(flow)}\n  was: ${told}\n  is:  ${tells}`;
          }
        }
      }
    }
  }
  return undefined;
}
