import type { ModelEntry } from '../../cluster/policies/entry.ts';
import type { ObjectProblem } from '../../cluster/snapshot.ts';
import { overlap } from '../../ip/cidr.ts';
import { hostCidr } from '../../ip/family.ts';
import { isEveryPort } from '../../ipsec/plan/ports.ts';
import type {
  CacheNode,
  CachePod,
  LocalEndpoint,
  LostEndpoint,
  ProtectedPort,
  RemoteEndpoint,
} from '../../rundir/schema.ts';
import { memoized } from '../../util/memo.ts';
import { createLocator } from './locate.ts';
import { type Claim, NOWHERE } from './places/claim.ts';
import { type Complaint, problemsOf } from './places/complaints.ts';
import { createJudge, decide, type Judge, type Previous } from './places/contest.ts';
import { place, type Whereabouts } from './places/place.ts';
import { type ChildLookup, merge, protectedPorts } from './places/ports.ts';
import { isManaged, namespaceOf } from './places/slices.ts';

export interface PlacedEndpoints {
  readonly local: readonly LocalEndpoint[];
  readonly remote: readonly RemoteEndpoint[];
  readonly lost: readonly LostEndpoint[];
  readonly problems: readonly ObjectProblem[];
}

export interface EndpointContext {
  readonly nodes: readonly CacheNode[];
  readonly nodeName: string;
  readonly children: ChildLookup;
  /** By node: the addresses that its agent confirms to be pods of its own. */
  readonly confirmed: Whereabouts['confirmed'];
  /** The pods of this node. */
  readonly pods: readonly CachePod[];
  /** The endpoints that were placed before. */
  readonly previous: Previous;
  /** CIDRs that this node had before: what its pods have there is not lost. */
  readonly formerCidrs?: readonly string[];
}

const whereaboutsOf = memoized(
  (nodes: readonly CacheNode[], confirmed: Whereabouts['confirmed']): Whereabouts => ({
    locate: createLocator(nodes),
    names: new Set(nodes.map(({ name }) => name)),
    confirmed,
  }),
);

/** What one entry claims, and what that was made from. */
interface Claimed {
  readonly whereabouts: Whereabouts;
  readonly children: ChildLookup;
  readonly claims: readonly Claim[];
  readonly complaints: readonly Complaint[];
}

const remembered = new WeakMap<ModelEntry, Claimed>();

/**
 * The protected addresses, by where they live. Endpoints count whether they are ready or not. The pods of
 * this node are left out: their labels tell what they serve, before any slice lists them. An address belongs
 * to one namespace; the entries of that namespace add up there.
 */
export function placeEndpoints(entries: readonly ModelEntry[], context: EndpointContext): PlacedEndpoints {
  const whereabouts = whereaboutsOf(context.nodes, context.confirmed);
  const judge = createJudge(context.pods, entries, context.previous);
  const byAddress = new Map<string, Claim[]>();
  const complaints: Complaint[] = [];
  for (const model of entries) {
    const claimed = claimedBy(model, whereabouts, context.children);
    complaints.push(...claimed.complaints);
    for (const claim of claimed.claims) {
      const all = byAddress.get(claim.address);
      if (all === undefined) {
        byAddress.set(claim.address, [claim]);
      } else {
        all.push(claim);
      }
    }
  }
  const local: LocalEndpoint[] = [];
  const remote: RemoteEndpoint[] = [];
  const lost: LostEndpoint[] = [];
  for (const [address, claims] of byAddress) {
    const { winners, losers, namespace } = decide(address, claims, judge);
    const why = `belongs to a service of namespace ${namespace}: nothing of this slice counts there`;
    complaints.push(...losers.map(({ slice }) => ({ slice, address, why })));
    const [first] = winners;
    if (first?.node === NOWHERE) {
      lost.push(...(isHere(address, judge, context) ? [] : [lostOf(winners)]));
    } else if (first !== undefined && first.node !== context.nodeName) {
      remote.push(remoteOf(winners));
    } else if (first !== undefined) {
      const laid = winners.filter((claim) => !isKnownByLabels(claim, judge));
      local.push(...(laid.length === 0 ? [] : [localOf(laid)]));
    }
  }
  return {
    local: sorted(local),
    remote: sorted(remote),
    lost: sorted(lost),
    problems: problemsOf(complaints),
  };
}

/** Whether a pod of this node has the address, or may have it. */
function isHere(address: string, judge: Judge, { formerCidrs = [] }: EndpointContext): boolean {
  return judge.pod(address) !== undefined || formerCidrs.some((cidr) => overlap(cidr, hostCidr(address)));
}

/**
 * Whether labels tell what a pod of this node serves. They do not if it is no pod of the entry's namespace.
 */
function isKnownByLabels({ podRef, managed, namespace, address }: Claim, judge: Judge): boolean {
  return podRef && (managed || (judge.pod(address)?.namespace ?? namespace) === namespace);
}

const remotes = new WeakMap<Claim, RemoteEndpoint>();

/** Of one claim alone always the same object. The strongest claim says where the address lives. */
function remoteOf(claims: readonly Claim[]): RemoteEndpoint {
  const [{ address, node, namespace }] = claims as readonly [Claim];
  const [alone] = claims.length === 1 ? claims : [];
  const before = alone === undefined ? undefined : remotes.get(alone);
  const endpoint = before ?? { address, node, ports: portsOf(claims), namespace };
  if (alone !== undefined) {
    remotes.set(alone, endpoint);
  }
  return endpoint;
}

function localOf(claims: readonly Claim[]): LocalEndpoint {
  const [{ address, host, namespace }] = claims as readonly [Claim];
  return { address, host, ports: portsOf(claims), namespace };
}

function lostOf(claims: readonly Claim[]): LostEndpoint {
  const [{ address, namespace }] = claims as readonly [Claim];
  return { address, ports: portsOf(claims), namespace };
}

/** Of several entries with one port at an address, the child of the first in the order of items has it. */
function portsOf(claims: readonly Claim[]): ProtectedPort[] {
  const [first, ...others] = [...claims].sort((a, b) => a.rank - b.rank) as [Claim, ...Claim[]];
  return others.reduce((ports, claim) => merge(ports, claim.ports), first.ports);
}

/** The claims of one entry, remembered, since an event leaves nearly all of them as they were. */
function claimedBy(model: ModelEntry, whereabouts: Whereabouts, children: ChildLookup): Claimed {
  const before = remembered.get(model);
  if (
    before?.whereabouts === whereabouts &&
    before.children.childSaScope === children.childSaScope &&
    before.children.children === children.children
  ) {
    return before;
  }
  const claims: Claim[] = [];
  const complaints: Complaint[] = [];
  for (const [slice, within] of [
    ...model.slices.map((one) => [one, true] as const),
    ...model.rest.map((one) => [one, false] as const),
  ]) {
    const all = protectedPorts(model, slice, children);
    const ports = merge([], within ? all : all.filter(({ port }) => isEveryPort(port)));
    const { rank } = model;
    const ofSlice = { slice, namespace: namespaceOf(slice), managed: isManaged(slice), ports, rank };
    for (const endpoint of ports.length === 0 ? [] : (slice.endpoints ?? [])) {
      const podRef = model.entry.selector !== null && endpoint.targetRef?.kind === 'Pod';
      for (const address of endpoint.addresses) {
        const { place: found, lost, why } = place(address, slice, endpoint, whereabouts);
        const placed = lost === undefined ? found : { address: lost, node: NOWHERE, host: false };
        claims.push(
          ...(placed === undefined ? [] : [{ ...placed, ...ofSlice, podRef: podRef && !placed.host }]),
        );
        complaints.push(...(why === undefined ? [] : [{ slice, address, why }]));
      }
    }
  }
  const claimed = { whereabouts, children, claims, complaints };
  remembered.set(model, claimed);
  return claimed;
}

function sorted<T extends { readonly address: string }>(endpoints: readonly T[]): T[] {
  return [...endpoints].sort((a, b) => (a.address < b.address ? -1 : 1));
}
