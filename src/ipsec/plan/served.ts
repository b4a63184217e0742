import { familyOf } from '../../ip/family.ts';
import type { Attachment } from '../../rundir/attachment.ts';
import type { CacheEntry, CachePod, NodeCache, ProtectedPort } from '../../rundir/schema.ts';
import { childFor } from './child.ts';

/** The fields of an attachment record that the plan uses. */
export type PlannedAttachment = Pick<Attachment, 'pod' | 'addresses'>;

/** The fields of a cache that decide what is protected on this node. */
type ServingCache = Pick<NodeCache, 'pods' | 'entries' | 'localEndpoints' | 'children' | 'childSaScope'>;

/** A served address: a protected address of this node, with the ports that are protected at it. */
export interface ServedAddress {
  readonly address: string;
  readonly ports: readonly ProtectedPort[];
  /** True if the address belongs to the host's own stack. */
  readonly host: boolean;
}

/**
 * All served addresses of this node. An address belongs to the pod that its attachment record names. The
 * address in the status of a pod counts only where no record has that address (pods that ran before Trapline
 * came), because a status outlives its pod for a moment.
 */
export function localAddresses(
  cache: ServingCache,
  attachments: readonly PlannedAttachment[],
): ServedAddress[] {
  const ports = new Map<string, ProtectedPort[]>();
  const attached = new Set(attachments.flatMap((attachment) => attachment.addresses));
  for (const attachment of attachments) {
    const pod = findPod(cache.pods, attachment);
    for (const address of attachment.addresses) {
      append(ports, address, pod === undefined ? [] : podPorts(cache, pod, address));
    }
  }
  for (const pod of cache.pods) {
    for (const address of pod.addresses.filter((candidate) => !attached.has(candidate))) {
      append(ports, address, podPorts(cache, pod, address));
    }
  }
  const owners = new Map(
    attachments.flatMap(({ pod, addresses }) =>
      addresses
        .filter((address) => ports.get(address)?.length !== 0)
        .map((address) => [address, pod] as const),
    ),
  );
  for (const endpoint of cache.localEndpoints.filter((each) => isOf(each, owners.get(each.address)))) {
    append(ports, endpoint.address, endpoint.ports);
  }
  const host = new Set(
    cache.localEndpoints.filter((endpoint) => endpoint.host).map(({ address }) => address),
  );
  return [...ports].map(([address, list]) => ({ address, ports: list, host: host.has(address) }));
}

function append(ports: Map<string, ProtectedPort[]>, address: string, more: readonly ProtectedPort[]): void {
  ports.set(address, joined(ports.get(address) ?? [], more));
}

/**
 * Joins lists of ports at one address. A port of both goes through the child of the first list: what a pod's
 * own labels say comes before what a slice says, which may be of another namespace.
 */
function joined(ports: readonly ProtectedPort[], more: readonly ProtectedPort[]): ProtectedPort[] {
  const childOf = new Map(ports.map(({ proto, port, child }) => [`${proto}/${port}`, child]));
  return [
    ...ports,
    ...more.map((one) => ({ ...one, child: childOf.get(`${one.proto}/${one.port}`) ?? one.child })),
  ];
}

function findPod(pods: readonly CachePod[], attachment: PlannedAttachment): CachePod | undefined {
  const wanted = attachment.pod;
  return wanted === null
    ? undefined
    : pods.find((pod) => pod.name === wanted.name && pod.namespace === wanted.namespace);
}

/** The ports of a pod that back protected services at one of its addresses. */
function podPorts(
  cache: Omit<ServingCache, 'pods' | 'localEndpoints'>,
  pod: CachePod,
  address: string,
): ProtectedPort[] {
  const family = familyOf(address);
  return cache.entries
    .filter((entry) => entry.families.includes(family) && selects(entry, pod))
    .flatMap((entry) =>
      entry.ports.flatMap(({ proto, target, phase }) =>
        resolvePorts(pod, proto, target).map((port) => ({
          proto,
          port,
          child: childFor(cache, entry, proto, port),
          ...(phase === undefined ? {} : { phase }),
        })),
      ),
    );
}

/**
 * Whether the selector of an entry matches a pod. A service without a selector, or with an empty one, selects
 * no pod, and no service selects a pod of another namespace.
 */
export function selects(entry: CacheEntry, pod: CachePod): boolean {
  if (entry.namespace !== pod.namespace) {
    return false;
  }
  const terms = Object.entries(entry.selector ?? {});
  return terms.length > 0 && terms.every(([label, value]) => pod.labels[label] === value);
}

/**
 * The port numbers of a pod that a target stands for: none if the pod has no container port of that name.
 * Where several container ports have the name, the first counts, as in Kubernetes.
 */
export function resolvePorts(pod: CachePod, proto: string, target: number | string): number[] {
  const named = pod.ports.find((port) => port.name === target && port.proto === proto);
  return typeof target === 'number' ? [target] : named === undefined ? [] : [named.port];
}

/**
 * Whether an endpoint may add to what is protected at its address. Where a protected pod has the address, the
 * endpoints of other namespaces add nothing.
 */
function isOf(
  { namespace }: NodeCache['localEndpoints'][number],
  protectedPod: PlannedAttachment['pod'] | undefined,
): boolean {
  return protectedPod == null || namespace === undefined || namespace === protectedPod.namespace;
}

/** The served addresses of one attachment, as ADD plans them. */
export function attachedAddresses(cache: NodeCache, attachment: PlannedAttachment): ServedAddress[] {
  const pod = findPod(cache.pods, attachment);
  return attachment.addresses.map((address) => {
    const own = pod === undefined ? [] : podPorts(cache, pod, address);
    const others = cache.localEndpoints.filter(
      (endpoint) => endpoint.address === address && isOf(endpoint, own.length > 0 ? attachment.pod : null),
    );
    return {
      address,
      ports: joined(
        own,
        others.flatMap(({ ports }) => ports),
      ),
      host: false,
    };
  });
}
