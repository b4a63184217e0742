/**
 * The room `ipsec/hairpin` decides and renders the hairpin: a veth pair, an nft table and routing rules
 * through which the first packets of a flow with DNAT go (docs/design.md, The hairpin). Both files are pure;
 * src/agent/host/hairpin.ts brings the machine in step with what they return. The room imports `ipsec/plan`
 * and the cache's types.
 */
import { familyOf } from '../../ip/family.ts';
import type { NodeCache, ProtectedPort } from '../../rundir/schema.ts';
import { isEveryPort } from '../plan/ports.ts';

/** Ports of one protocol, both ends inclusive. */
export interface PortRange {
  readonly proto: 'tcp' | 'udp' | 'sctp';
  readonly first: number;
  readonly last: number;
}

/**
 * What goes through the hairpin: the first packets of a flow that DNAT sends to a protected port of a peer's
 * pod (docs/design.md, The hairpin).
 *
 * While the SAs of a policy are negotiated, the kernel queues the packet and drops its conntrack entry
 * (`nf_reset_ct` in `xfrm_policy_queue_process`). If DNAT has changed that packet, its answer would not find
 * its way back. A confirmed entry stays, so such a packet first leaves through one end of a veth pair, which
 * confirms the entry. It comes in again through the other end, untracked, and is then looked up in XFRM.
 */
export interface Hairpin {
  /** Sorted, without overlaps. */
  readonly ports: readonly PortRange[];
  /** Pod CIDRs of the peers, sorted. */
  readonly podCidrs: CidrsByFamily;
  /**
   * Pod CIDRs of this node, sorted. No masquerading may change an address in them on its way into a tunnel.
   */
  readonly ownCidrs: CidrsByFamily;
}

export interface CidrsByFamily {
  readonly 4: readonly string[];
  readonly 6: readonly string[];
}

const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;

/**
 * The hairpin that a node needs; null if nothing is protected: then there is no tunnel to wait for, and no
 * fragment to reassemble.
 */
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

/** The sorted pod CIDRs of peers. Made once for each list of peers. */
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

/** Whether a protected port means every port of this protocol. */
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
