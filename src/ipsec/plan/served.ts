import { familyOf } from '../../ip/address.ts';
import type { Attachment } from '../../rundir/attachment.ts';
import type { CacheEntry, CachePod, NodeCache, ProtectedPort } from '../../rundir/schema.ts';
import { childFor } from './child.ts';

/** The part of an attachment record that the plan looks at. */
export type PlannedAttachment = Pick<Attachment, 'pod' | 'addresses'>;

/** The part of a cache that says what is protected on this node. */
type ServingCache = Pick<NodeCache, 'pods' | 'entries' | 'localEndpoints' | 'children' | 'childSaScope'>;

/** An address of this node, with what is protected at it. */
export interface ServedAddress {
  readonly address: string;
  readonly ports: readonly ProtectedPort[];
  /** True if the address belongs to the host's own stack. */
  readonly host: boolean;
}

/**
 * All protected addresses of this node. An address belongs to its attachment; the address in a pod's status counts only
 * where no attachment holds it (pods that ran before Trapline came), since a status outlives its pod for a moment.
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

/** The target ports at which an address of a pod backs protected services. */
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
          child: childFor(cache, entry.name, proto, port),
          ...(phase === undefined ? {} : { phase }),
        })),
      ),
    );
}

/** A service without a selector, or with an empty one, selects no pod; nor does one select a pod of another namespace. */
export function selects(entry: CacheEntry, pod: CachePod): boolean {
  if (entry.namespace !== pod.namespace) {
    return false;
  }
  const terms = Object.entries(entry.selector ?? {});
  return terms.length > 0 && terms.every(([label, value]) => pod.labels[label] === value);
}

/** The port of a pod that a target means. Of several container ports with one name Kubernetes takes the first. */
export function resolvePorts(pod: CachePod, proto: string, target: number | string): number[] {
  const named = pod.ports.find((port) => port.name === target && port.proto === proto);
  return typeof target === 'number' ? [target] : named === undefined ? [] : [named.port];
}

function endpointPorts(cache: NodeCache, address: string): ProtectedPort[] {
  return cache.localEndpoints
    .filter((endpoint) => endpoint.address === address)
    .flatMap(({ ports }) => ports);
}

/** The address of one attachment, as ADD sees it. */
export function attachedAddresses(cache: NodeCache, attachment: PlannedAttachment): ServedAddress[] {
  const pod = findPod(cache.pods, attachment);
  return attachment.addresses.map((address) => ({
    address,
    ports: [...(pod === undefined ? [] : podPorts(cache, pod, address)), ...endpointPorts(cache, address)],
    host: false,
  }));
}
