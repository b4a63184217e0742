import type { CacheChild, NodeCacheContent } from '../../rundir/schema.ts';
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

/**
 * The order of children that every node agrees on: by entry, then by protocol (docs/design.md, Who owns a
 * port).
 */
export function compareChildren(a: string, b: string): number {
  const [protoA, entryA] = split(a);
  const [protoB, entryB] = split(b);
  return compare(entryA, entryB) || compare(protoA, protoB);
}

function split(child: string): [proto: string, entry: string] {
  const at = child.indexOf('_');
  return [child.slice(0, at), child.slice(at + 1)];
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/**
 * The child that carries a target port of an entry. A port that several entries name belongs to one child
 * alone, otherwise the responder could not tell from the traffic selectors which child is meant
 * (docs/design.md, Who owns a port).
 */
export function childFor(
  { childSaScope: scope, children }: Pick<NodeCacheContent, 'childSaScope' | 'children'>,
  entry: string,
  proto: Protocol,
  port: number,
): string {
  if (scope === 'node') {
    return PODS_CHILD;
  }
  if (proto === 'any' || isEveryPort(port)) {
    return wideChildName(proto);
  }
  const owner = children.find((child) => child.proto === proto && child.ports.includes(port));
  return owner?.name ?? childName(proto, entry);
}
