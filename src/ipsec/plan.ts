import type { Attachment } from '../cache/attachment.ts';
import type { CacheEntry, CachePeer, CachePod, NodeCache, ProtectedPort } from '../cache/schema.ts';
import { familyOf, hostCidr, tunnelEnds } from './address.ts';
import { childFor, configName, PODS_CHILD, type Side } from './child.ts';
import { planConnections } from './connections.ts';
import { PRIORITY_FIRST, policyKey } from './identity.ts';
import { type PortSelector, portSelectors } from './selectors.ts';
import type { Direction, Plan, Selector, XfrmPolicy } from './types.ts';

/** The part of an attachment record that the plan looks at. */
export type PlannedAttachment = Pick<Attachment, 'pod' | 'addresses'>;

/** The cache contradicts itself: a peer lacks the reqid of a child. Nothing may be laid from such a cache. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

/**
 * The XFRM policies for one attachment: what ADD lays before the pod's first packet (DESIGN 4, rows of node N).
 * Empty if the pod backs no protected service. Throws PlanError.
 */
export function planAttachment(cache: NodeCache, attachment: PlannedAttachment): XfrmPolicy[] {
  if (cache.mesh) {
    return [];
  }
  const pod = findPod(cache.pods, attachment);
  return attachment.addresses.flatMap((address) => {
    const ports = [...(pod === undefined ? [] : podPorts(cache, pod)), ...endpointPorts(cache, address)];
    return servingPolicies(cache, { address, ports, host: false });
  });
}

/** The whole decision: what the kernel and charon of this node must hold. Throws PlanError. */
export function plan(cache: NodeCache, attachments: readonly PlannedAttachment[]): Plan {
  return { policies: planPolicies(cache, attachments), connections: planConnections(cache) };
}

/** Every XFRM policy of this node, sorted by key, each key once. Throws PlanError. */
export function planPolicies(cache: NodeCache, attachments: readonly PlannedAttachment[]): XfrmPolicy[] {
  const policies = cache.mesh
    ? meshPolicies(cache)
    : [
        ...localAddresses(cache, attachments).flatMap((served) => servingPolicies(cache, served)),
        ...clientPolicies(cache),
      ];
  return sortByKey(policies);
}

/** Sorts by key and drops repetitions. */
function sortByKey(policies: readonly XfrmPolicy[]): XfrmPolicy[] {
  const byKey = new Map(policies.map((policy) => [policyKey(policy), policy]));
  return [...byKey.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, policy]) => policy);
}

interface ServedAddress {
  readonly address: string;
  readonly ports: readonly ProtectedPort[];
  /** True if the address belongs to the host's own stack. */
  readonly host: boolean;
}

/**
 * All protected addresses of this node. An address belongs to its attachment; the address in a pod's status counts only
 * where no attachment holds it (pods that ran before Trapline came), since a status outlives its pod for a moment.
 */
function localAddresses(cache: NodeCache, attachments: readonly PlannedAttachment[]): ServedAddress[] {
  const ports = new Map<string, ProtectedPort[]>();
  const attached = new Set(attachments.flatMap((attachment) => attachment.addresses));
  for (const attachment of attachments) {
    const pod = findPod(cache.pods, attachment);
    for (const address of attachment.addresses) {
      append(ports, address, pod === undefined ? [] : podPorts(cache, pod));
    }
  }
  for (const pod of cache.pods) {
    for (const address of pod.addresses.filter((candidate) => !attached.has(candidate))) {
      append(ports, address, podPorts(cache, pod));
    }
  }
  for (const endpoint of cache.localEndpoints) {
    append(ports, endpoint.address, endpoint.ports);
  }
  const host = new Set(
    cache.localEndpoints.filter((endpoint) => endpoint.host).map(({ address }) => address),
  );
  return [...ports].map(([address, list]) => ({ address, ports: list, host: host.has(address) }));
}

function append(ports: Map<string, ProtectedPort[]>, address: string, more: readonly ProtectedPort[]): void {
  ports.set(address, [...(ports.get(address) ?? []), ...more]);
}

function findPod(pods: readonly CachePod[], attachment: PlannedAttachment): CachePod | undefined {
  const wanted = attachment.pod;
  return wanted === null
    ? undefined
    : pods.find((pod) => pod.name === wanted.name && pod.namespace === wanted.namespace);
}

/** The target ports at which a pod backs protected services. */
function podPorts(cache: NodeCache, pod: CachePod): ProtectedPort[] {
  return cache.entries
    .filter((entry) => entry.namespace === pod.namespace && selects(entry, pod))
    .flatMap((entry) =>
      entry.ports.flatMap(({ proto, target }) =>
        resolvePorts(pod, proto, target).map((port) => ({
          proto,
          port,
          child: childFor(cache.children, entry.name, proto, port),
        })),
      ),
    );
}

/** A service without a selector, or with an empty one, selects no pod. */
function selects(entry: CacheEntry, pod: CachePod): boolean {
  const terms = Object.entries(entry.selector ?? {});
  return terms.length > 0 && terms.every(([label, value]) => pod.labels[label] === value);
}

function resolvePorts(pod: CachePod, proto: string, target: number | string): number[] {
  return typeof target === 'number'
    ? [target]
    : pod.ports.filter((port) => port.name === target && port.proto === proto).map(({ port }) => port);
}

function endpointPorts(cache: NodeCache, address: string): ProtectedPort[] {
  return cache.localEndpoints
    .filter((endpoint) => endpoint.address === address)
    .flatMap(({ ports }) => ports);
}

/** DESIGN 4, rows of node N: this node serves the address, every peer's pods are its clients. */
function servingPolicies(cache: NodeCache, served: ServedAddress): XfrmPolicy[] {
  const family = familyOf(served.address);
  const own = hostCidr(served.address);
  const selectors = portSelectors(served.ports, family);
  if (selectors.length === 0) {
    return [];
  }
  return cache.peers.flatMap((peer) => {
    const lay = policyMaker(cache, peer, 'ingress');
    const inbound = served.host ? 'in' : 'fwd';
    return cidrsOf(peer.podCidrs, family).flatMap((cidr) =>
      selectors.flatMap((port) => [
        ...lay(port, 'out', { src: own, dst: cidr, proto: port.proto, sport: port.port, dport: 0 }),
        ...lay(port, inbound, { src: cidr, dst: own, proto: port.proto, sport: 0, dport: port.port }),
      ]),
    );
  });
}

/** DESIGN 4, rows of node Q: this node's pods are clients of a protected address on a peer. */
function clientPolicies(cache: NodeCache): XfrmPolicy[] {
  const peers = new Map(cache.peers.map((peer) => [peer.name, peer]));
  return cache.endpoints.flatMap((endpoint) => {
    const peer = peers.get(endpoint.node);
    if (peer === undefined) {
      return [];
    }
    const family = familyOf(endpoint.address);
    const remote = hostCidr(endpoint.address);
    const lay = policyMaker(cache, peer, 'egress');
    return cidrsOf(cache.node.podCidrs, family).flatMap((cidr) =>
      portSelectors(endpoint.ports, family).flatMap((port) => [
        ...lay(port, 'out', { src: cidr, dst: remote, proto: port.proto, sport: 0, dport: port.port }),
        ...lay(port, 'fwd', { src: remote, dst: cidr, proto: port.proto, sport: port.port, dport: 0 }),
      ]),
    );
  });
}

/** All pod-to-pod traffic: one pair of policies for each pair of pod CIDRs, whatever the pods. */
function meshPolicies(cache: NodeCache): XfrmPolicy[] {
  const everything: PortSelector = { proto: 'any', port: 0, child: PODS_CHILD };
  return cache.peers.flatMap((peer) => {
    const lay = policyMaker(cache, peer, 'ingress');
    return cache.node.podCidrs.flatMap((own) =>
      cidrsOf(peer.podCidrs, familyOf(own)).flatMap((cidr) => [
        ...lay(everything, 'out', { src: own, dst: cidr, proto: 'any', sport: 0, dport: 0 }),
        ...lay(everything, 'fwd', { src: cidr, dst: own, proto: 'any', sport: 0, dport: 0 }),
      ]),
    );
  });
}

type PolicyMaker = (port: PortSelector, dir: Direction, selector: Selector) => XfrmPolicy[];

/**
 * Makes the policies towards one peer. Two policies of one node overlap only where both ends of a flow are protected, one as
 * served here and one as served there; the priority lets the child of the node whose name sorts first win,
 * which both nodes know.
 */
function policyMaker(cache: NodeCache, peer: CachePeer, side: Side): PolicyMaker {
  const ends = tunnelEnds(cache.node.addresses, peer.addresses);
  if (ends === undefined) {
    return () => [];
  }
  const serving = side === 'ingress' ? cache.node.name : peer.name;
  const other = side === 'ingress' ? peer.name : cache.node.name;
  const priority = PRIORITY_FIRST + (serving < other ? 0 : 1);
  return (port, dir, selector) => {
    const config = configName(port.child, side);
    const reqid = peer.reqids[config];
    if (reqid === undefined) {
      throw new PlanError(`node cache: peers[${peer.name}].reqids has no ${config}`);
    }
    const [src, dst] = dir === 'out' ? [ends.own, ends.peer] : [ends.peer, ends.own];
    return [{ dir, selector, priority, template: { src, dst, reqid, level: 'required' } }];
  };
}

function cidrsOf(cidrs: readonly string[], family: number): string[] {
  return cidrs.filter((cidr) => familyOf(cidr) === family);
}
