import type { NodeCache } from '../../../rundir/schema.ts';
import { PODS_CHILD } from '../child.ts';
import { EVERY_PORT } from '../ports.ts';
import type { XfrmPolicy } from '../types.ts';
import { cidrsOf, clientsHere, clientsOn, ownCidrs, peersOf, policyMaker } from './maker.ts';
import type { PortSelector } from './selectors.ts';

/**
 * All pod-to-pod traffic: one pair of policies for each pair of pod CIDRs, whatever pods there are. Throws
 * PlanError.
 */
export function meshPolicies(cache: NodeCache): XfrmPolicy[] {
  const everything: PortSelector = {
    proto: 'any',
    port: EVERY_PORT,
    child: PODS_CHILD,
    phase: cache.meshPhase ?? 'require',
  };
  return peersOf(cache).flatMap((peer) => {
    const make = policyMaker(cache, { peer, side: 'ingress', kind: 'address' });
    const pair = (own: string, other: string, inbound: readonly ('fwd' | 'in')[]): XfrmPolicy[] => [
      ...make(everything, 'out', {
        src: own,
        dst: other,
        proto: 'any',
        sport: EVERY_PORT,
        dport: EVERY_PORT,
      }),
      ...inbound.flatMap((dir) =>
        make(everything, dir, { src: other, dst: own, proto: 'any', sport: EVERY_PORT, dport: EVERY_PORT }),
      ),
    ];
    return ([4, 6] as const).flatMap((family) => [
      ...cidrsOf(ownCidrs(cache), family).flatMap((own) =>
        clientsOn(cache, peer, family).flatMap((other) => pair(own, other, ['fwd'])),
      ),
      ...clientsHere(cache, family)
        .filter(({ inbound }) => inbound.includes('in'))
        .flatMap(({ cidr, inbound }) =>
          cidrsOf(peer.podCidrs, family).flatMap((other) => pair(cidr, other, inbound)),
        ),
    ]);
  });
}
