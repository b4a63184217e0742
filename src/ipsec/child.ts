import type { CacheChild } from '../cache/schema.ts';
import type { Protocol } from './types.ts';

/** Which end of a child a node is: `ingress` where the protected address lives, `egress` where its clients live. */
export type Side = 'egress' | 'ingress';

/** The child that carries all pod-to-pod traffic of a peer (childSaScope `node`, or the mesh). */
export const PODS_CHILD = 'pods';

/** `udp` and `kube-dns` give `udp_kube-dns`. */
export function childName(proto: Protocol, entry: string): string {
  return `${proto}_${entry}`;
}

/** The name that charon knows a child by: `udp_kube-dns_egress`; `pods` has no sides. */
export function configName(child: string, side: Side): string {
  return child === PODS_CHILD ? child : `${child}_${side}`;
}

/** All configuration names of a child. */
export function configNames(child: string): string[] {
  return child === PODS_CHILD ? [child] : [configName(child, 'egress'), configName(child, 'ingress')];
}

/** The order that every node agrees on: entry first, then protocol (DESIGN 4). */
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
 * The child that carries a target port of an entry. A port that several entries name belongs to one child alone, otherwise
 * the responder could not tell from the traffic selectors which child is meant. Port 0 is every port of the protocol.
 */
export function childFor(
  children: readonly CacheChild[],
  entry: string,
  proto: Protocol,
  port: number,
): string {
  if (children[0]?.name === PODS_CHILD) {
    return PODS_CHILD;
  }
  const owner = children.find((child) => child.proto === proto && port !== 0 && child.ports.includes(port));
  return owner?.name ?? childName(proto, entry);
}
