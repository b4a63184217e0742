import { type Family, hostCidr } from '../../../ip/family.ts';
import type { NodeCache } from '../../../rundir/schema.ts';
import { childFor, childOrder, ownChild } from '../child.ts';
import { strongest } from '../phase.ts';
import { EVERY_PORT } from '../ports.ts';
import type { Phase, XfrmPolicy } from '../types.ts';
import { cidrsOf, isDeparted, ownCidrs, type PlannedPeer, peersOf, policyMaker } from './maker.ts';
import type { PortSelector } from './selectors.ts';

/**
 * ICMP between the nodes and pods of this node and of each peer (docs/design.md, ICMP and fragments). ICMP
 * errors quote the packet that they are about (RFC 792, RFC 4443). Their sender is whoever dropped it: a node
 * on the way, with its own address, or a pod that no node has read of yet. What a peer's node and pods send
 * to our pods may come as ESP, and ours goes as ESP. No ports tell which node serves, so both nodes take the
 * child of the node whose name sorts first: the first child (`childOrder`) of those with the furthest phase.
 * Throws PlanError.
 */
export function icmpPolicies(cache: NodeCache): XfrmPolicy[] {
  const phases = cache.mesh
    ? [cache.meshPhase]
    : cache.entries.flatMap(({ ports }) => ports.map(({ phase }) => phase));
  const phase = strongest(phases.length === 0 ? ['require'] : phases);
  const child = firstChild(cache, phase);
  if (child === undefined) {
    return [];
  }
  return peersOf(cache).flatMap((peer) =>
    ([4, 6] as const).flatMap((family) => {
      const proto = family === 4 ? 'icmp' : 'icmpv6';
      return towards(cache, { peer, family, icmp: { proto, port: EVERY_PORT, child, phase } });
    }),
  );
}

/**
 * Of all children alike, those for whole protocols and those for numbers: a Service that is the only one with
 * numbers must not move everybody's ICMP to its own child.
 */
function firstChild(cache: NodeCache, phase: Phase): string | undefined {
  const there = new Set(cache.children.map(({ name }) => name));
  const furthest = cache.entries.flatMap((entry) =>
    entry.ports
      .filter((port) => strongest([port.phase]) === phase)
      .map(({ proto, target }) =>
        typeof target === 'number' ? childFor(cache, entry, proto, target) : ownChild(entry, proto),
      )
      .filter((name) => there.has(name)),
  );
  const names = furthest.length === 0 ? [...there] : furthest;
  return names.sort(childOrder(cache.children))[0];
}

interface Place {
  readonly peer: PlannedPeer;
  readonly family: Family;
  readonly icmp: PortSelector;
}

function towards(cache: NodeCache, { peer, family, icmp }: Place): XfrmPolicy[] {
  const side = cache.node.name < peer.name ? 'ingress' : 'egress';
  const make = policyMaker(cache, { peer, side, kind: 'unlisted' });
  const selector = (src: string, dst: string): XfrmPolicy['selector'] => ({
    src,
    dst,
    proto: icmp.proto,
    sport: EVERY_PORT,
    dport: EVERY_PORT,
  });
  const unlisted = (cache.unlisted ?? []).length > 0 || isDeparted(peer);
  const [here, there] = [cidrsOf(ownCidrs(cache), family), cidrsOf(peer.podCidrs, family)];
  const [us, them] = [cache.node.addresses, peer.addresses].map((addresses) =>
    cidrsOf(addresses.map(hostCidr), family),
  );
  return [
    ...there.flatMap((dst) =>
      [...(unlisted ? here : []), ...(us ?? [])].flatMap((src) => make(icmp, 'out', selector(src, dst))),
    ),
    ...here.flatMap((dst) =>
      [...(unlisted ? there : []), ...(them ?? [])].flatMap((src) => make(icmp, 'fwd', selector(src, dst))),
    ),
  ];
}
