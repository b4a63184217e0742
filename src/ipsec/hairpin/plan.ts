/**
 * The room `ipsec/hairpin` decides and renders the hairpin: a veth pair, an nft table and routing rules
 * through which the first packets of a flow with DNAT go (docs/design.md, The hairpin). Both files are pure;
 * src/agent/host/hairpin.ts brings the machine in step with what they return. The room imports `ipsec/plan`,
 * `util` and the cache's types.
 */
import { familyOf } from '../../ip/family.ts';
import { mergeCidrs } from '../../ip/merge.ts';
import type { NodeCache, ProtectedPort } from '../../rundir/schema.ts';
import { memoized } from '../../util/memo.ts';
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
  /** Pod CIDRs of the peers and of departed peers, merged: sorted, without overlaps. */
  readonly podCidrs: CidrsByFamily;
  /**
   * Pod CIDRs of this node and those that it had, merged. No masquerading may change an address in them on
   * its way into a tunnel.
   */
  readonly ownCidrs: CidrsByFamily;
  /** Pod CIDRs of the cache that are none: they are left out. */
  readonly refused: readonly string[];
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
  const pods = podCidrsOf(cache.peers, cache.departed);
  if (pods[4].length + pods[6].length === 0 || cache.children.length === 0) {
    return null;
  }
  const { podCidrs, formerCidrs = [] } = cache.node;
  const own = byFamily([...podCidrs, ...formerCidrs.map(({ cidr }) => cidr)]);
  return {
    ports: protectedRanges(cache),
    podCidrs: { 4: pods[4], 6: pods[6] },
    ownCidrs: { 4: own[4], 6: own[6] },
    refused: [...pods.refused, ...own.refused],
  };
}

type Merged = CidrsByFamily & Pick<Hairpin, 'refused'>;

/** Made once for each list of peers. */
const podCidrsOf = memoized(
  (peers: NodeCache['peers'], departed: NonNullable<NodeCache['departed']> = []): Merged =>
    byFamily([...peers, ...departed].flatMap(({ podCidrs }) => podCidrs)),
);

function byFamily(texts: readonly string[]): Merged {
  const { cidrs, refused } = mergeCidrs(texts);
  const of = (family: 4 | 6): string[] => cidrs.filter((cidr) => familyOf(cidr) === family);
  return { 4: of(4), 6: of(6), refused };
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
