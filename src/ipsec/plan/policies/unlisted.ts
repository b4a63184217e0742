import type { Family } from '../../../ip/family.ts';
import type { NodeCache } from '../../../rundir/schema.ts';
import { childOrder } from '../child.ts';
import { isIcmp } from '../ours.ts';
import { EVERY_PORT, isEveryPort } from '../ports.ts';
import type { XfrmPolicy } from '../types.ts';
import { cidrsOf, clientsHere, isDeparted, type PlannedPeer, peersOf, policyMaker } from './maker.ts';
import { type PortSelector, portSelectors } from './selectors.ts';

/**
 * Policies for unlisted endpoints: endpoints that a peer serves already and that no slice this node has read
 * lists yet (docs/design.md, Unlisted and departed). What this node's pods send to a protected port number of
 * any pod of a peer goes as ESP, and so does what they answer from such a port. The pod behind an address may
 * not be known: a pod has its address before ADD reaches Trapline, and after DEL its node's kernel answers
 * for it (TCP RST), through whatever tunnel the packet came.
 *
 * Inbound plaintext is let in as well. Policies for what may be a request come before policies for what may
 * be an answer. Protocols that are protected as a whole (`tcp/*`) get none of these policies: the kernel
 * drops what comes out of a tunnel and matches no inbound policy. Throws PlanError.
 */
export function unlistedPolicies(cache: NodeCache): XfrmPolicy[] {
  return peersOf(cache).flatMap((peer) =>
    ([4, 6] as const).flatMap((family) =>
      portsTowards(cache, peer, family).flatMap((port) => portPolicies(cache, { peer, family, port })),
    ),
  );
}

/**
 * Towards a peer that departed, or that no tunnel can reach, everything that is protected anywhere, whatever
 * the agent is told of unlisted endpoints: it is not known what its pods serve.
 */
function portsTowards(cache: NodeCache, peer: PlannedPeer, family: Family): PortSelector[] {
  const { unlisted = [], guarded = unlisted } = cache;
  const order = childOrder(cache.children);
  return isDeparted(peer) || peer.addresses.length === 0
    ? portSelectors(guarded, family, order).filter(({ proto }) => !isIcmp(proto))
    : portSelectors(unlisted, family, order).filter(({ port }) => !isEveryPort(port));
}

interface Place {
  readonly peer: PlannedPeer;
  readonly family: Family;
  readonly port: PortSelector;
}

function portPolicies(cache: NodeCache, { peer, family, port }: Place): XfrmPolicy[] {
  const asClient = policyMaker(cache, { peer, side: 'egress', kind: 'unlisted' });
  const answer = policyMaker(cache, { peer, side: 'egress', kind: 'unlistedAnswer' });
  const asServer = policyMaker(cache, { peer, side: 'ingress', kind: 'unlisted' });
  const answering = policyMaker(cache, { peer, side: 'ingress', kind: 'unlistedAnswer' });
  const proto = port.proto;
  return cidrsOf(peer.podCidrs, family).flatMap((there) =>
    clientsHere(cache, family).flatMap(({ cidr: here, inbound }) => [
      ...asClient(port, 'out', { src: here, dst: there, proto, sport: EVERY_PORT, dport: port.port }),
      ...inbound.flatMap((dir) =>
        answer(port, dir, { src: there, dst: here, proto, sport: port.port, dport: EVERY_PORT }),
      ),
      ...(inbound.includes('in') || isEveryPort(port.port)
        ? []
        : [
            ...asServer(port, 'fwd', { src: there, dst: here, proto, sport: EVERY_PORT, dport: port.port }),
            ...answering(port, 'out', { src: here, dst: there, proto, sport: port.port, dport: EVERY_PORT }),
          ]),
    ]),
  );
}
