import { familyOf } from '../../ip/address.ts';
import type { NodeCache, ProtectedPort } from '../../rundir/schema.ts';
import { isEveryPort } from '../plan/ports.ts';

/** Ports of one protocol, both ends inclusive. */
export interface PortRange {
  readonly proto: 'tcp' | 'udp' | 'sctp';
  readonly first: number;
  readonly last: number;
}

/**
 * What goes through the hairpin: the first packets of a flow that DNAT sends to a protected port of a peer's pod.
 *
 * While the SAs of a policy are negotiated the kernel queues the packet, and drops its conntrack entry as it does so
 * (`nf_reset_ct` in `xfrm_policy_queue_process`): the answer to a packet that DNAT had changed would not find its way back. An entry
 * that is confirmed stays. So such a packet leaves once through one end of a veth pair, which confirms the entry, and
 * comes in again by the other, untracked, to be looked up in XFRM.
 */
export interface Hairpin {
  /** Sorted, without overlaps. */
  readonly ports: readonly PortRange[];
  /** Pod CIDRs of the peers, sorted. */
  readonly podCidrs: CidrsByFamily;
  /** Pod CIDRs of this node, sorted: no masquerading changes these addresses on their way into a tunnel. */
  readonly ownCidrs: CidrsByFamily;
}

export interface CidrsByFamily {
  readonly 4: readonly string[];
  readonly 6: readonly string[];
}

const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;

/** Null if nothing is protected: there is no tunnel to wait for, and no fragment to reassemble. */
export function planHairpin(cache: NodeCache): Hairpin | null {
  const podCidrs = cidrsOf(cache.peers);
  if (podCidrs[4].length + podCidrs[6].length === 0 || cache.children.length === 0) {
    return null;
  }
  return {
    ports: protectedRanges(cache),
    podCidrs,
    ownCidrs: byFamily([...cache.node.podCidrs].sort()),
  };
}

const remembered = new WeakMap<NodeCache['peers'], CidrsByFamily>();

/** Sorted; made once for the same list of peers. */
function cidrsOf(peers: NodeCache['peers']): CidrsByFamily {
  const cidrs =
    remembered.get(peers) ?? byFamily([...new Set(peers.flatMap(({ podCidrs }) => podCidrs))].sort());
  remembered.set(peers, cidrs);
  return cidrs;
}

function byFamily(cidrs: readonly string[]): CidrsByFamily {
  const of = (family: 4 | 6): string[] => cidrs.filter((cidr) => familyOf(cidr) === family);
  return { 4: of(4), 6: of(6) };
}

function protectedRanges(cache: NodeCache): PortRange[] {
  const ports = [...cache.endpoints.flatMap((endpoint) => endpoint.ports), ...(cache.unlisted ?? [])];
  return PROTOCOLS.flatMap((proto) =>
    cache.mesh || ports.some((port) => isEveryPortOf(port, proto))
      ? [{ proto, first: 0, last: 65535 }]
      : ranges(proto, ports),
  );
}

/** Whether every port of the protocol is protected somewhere. */
function isEveryPortOf({ proto: named, port }: ProtectedPort, proto: PortRange['proto']): boolean {
  return named === 'any' || (named === proto && isEveryPort(port));
}

function ranges(proto: PortRange['proto'], ports: readonly ProtectedPort[]): PortRange[] {
  const numbers = new Set(ports.filter((port) => port.proto === proto).map(({ port }) => port));
  const found: PortRange[] = [];
  for (const port of [...numbers].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last?.last === port - 1) {
      found[found.length - 1] = { ...last, last: port };
    } else {
      found.push({ proto, first: port, last: port });
    }
  }
  return found;
}
