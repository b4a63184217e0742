import type { CacheChild, CacheEntry, NodeCacheContent } from '../../rundir/schema.ts';
import { isEveryPort } from './ports.ts';
import type { Protocol } from './types.ts';

/**
 * Which end of a child a node is: `ingress` where the protected address lives, `egress` where its clients
 * live.
 */
export type Side = 'egress' | 'ingress';

/**
 * The wide child for all protocols, which carries all pod-to-pod traffic with a peer. It is used with
 * childSaScope `node`, in the mesh, and for a service that is protected with the port `*`.
 */
export const PODS_CHILD = 'pods';

/** Name of the child of an entry: `udp` and `kube-dns` give `udp_kube-dns`. */
export function childName(proto: Protocol, entry: string): string {
  return `${proto}_${entry}`;
}

/** Name of the wide child of a protocol: `pods` for all protocols, `pods_tcp` for TCP. */
export function wideChildName(proto: Protocol): string {
  return proto === 'any' ? PODS_CHILD : `${PODS_CHILD}_${proto}`;
}

/**
 * Whether a child is wide: it carries every port, so its traffic selectors look the same from both ends. With
 * two sides the responder could not tell from the selectors which side is meant (charon takes the one it
 * finds first). A wide child therefore has one configuration, for both directions.
 */
export function isWide(child: string): boolean {
  return child === PODS_CHILD || child.startsWith(`${PODS_CHILD}_`);
}

/** Whether a child of the cache carries every port of its protocol: it lists none. */
export function carriesEveryPort({ ports }: Pick<CacheChild, 'ports'>): boolean {
  return ports.length === 0;
}

/**
 * Name of the child configuration in charon, and key of its reqid: `udp_kube-dns_egress`; a wide child has no
 * sides.
 */
export function configName(child: string, side: Side): string {
  return isWide(child) ? child : `${child}_${side}`;
}

/** All configuration names of a child: two, or one if it is wide. */
export function configNames(child: string): string[] {
  return isWide(child) ? [child] : [configName(child, 'egress'), configName(child, 'ingress')];
}

/** Compares two children by name. */
export type ChildOrder = (a: string, b: string) => number;

const orders = new WeakMap<readonly CacheChild[], ChildOrder>();

/**
 * The order in which children come before one another where several could carry the same packet: that of the
 * cache, which goes by facts that the cluster's administrator alone controls (docs/design.md, Which child).
 */
export function childOrder(children: readonly CacheChild[]): ChildOrder {
  const known = orders.get(children);
  if (known !== undefined) {
    return known;
  }
  const places = new Map(children.map(({ name }, index) => [name, index]));
  const placeOf = (name: string): number => places.get(name) ?? places.size;
  const order: ChildOrder = (a, b) => placeOf(a) - placeOf(b) || (a === b ? 0 : a < b ? -1 : 1);
  orders.set(children, order);
  return order;
}

/** The `carrier` of an entry whose ports go through the wide children of their protocols. */
export const WIDE_CARRIER = '*';

/** What of an entry decides which child is its own. */
export type Carried = Pick<CacheEntry, 'name' | 'carrier'>;

/** Name of the child that carries the ports of an entry for one protocol. */
export function ownChild({ name, carrier = name }: Carried, proto: Protocol): string {
  return carrier === WIDE_CARRIER ? wideChildName(proto) : childName(proto, carrier);
}

/**
 * The child that carries a target port of an entry: its own one, whatever other entries have the same port
 * (docs/design.md, Which child). A cache that an older agent wrote has a child for each port, not for each
 * entry: until it is written anew, a port goes through the child that has it.
 */
export function childFor(
  { childSaScope: scope, children }: Pick<NodeCacheContent, 'childSaScope' | 'children'>,
  entry: Carried,
  proto: Protocol,
  port: number,
): string {
  if (scope === 'node') {
    return PODS_CHILD;
  }
  if (proto === 'any' || isEveryPort(port)) {
    return wideChildName(proto);
  }
  const own = ownChild(entry, proto);
  const former = (): CacheChild | undefined =>
    children.find((child) => child.proto === proto && child.ports.includes(port));
  return children.some(({ name }) => name === own) ? own : (former()?.name ?? own);
}
