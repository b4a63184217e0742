import { familyOf } from '../../../ip/family.ts';
import { selects } from '../../../ipsec/plan/served.ts';
import type { CacheEntry, CachePod, NodeCacheContent } from '../../../rundir/schema.ts';
import { type Claim, NOWHERE } from './claim.ts';

/** What decides between namespaces, beside the claims themselves. */
export interface Judge {
  /** The pod of this node that has an address. */
  readonly pod: (address: string) => CachePod | undefined;
  /** Whether an entry of the pod's own namespace protects it at the address. */
  readonly isProtected: (pod: CachePod, address: string) => boolean;
  /** The namespace that had an address in the cache before. */
  readonly before: (address: string) => string | undefined;
}

/** Who had an address in the cache before. */
export type Previous = Partial<Pick<NodeCacheContent, 'endpoints' | 'localEndpoints' | 'lost'>> | null;

export interface Verdict {
  /**
   * The strongest first; empty if another namespace's pod has the address. All of one namespace, unless
   * nobody but slices by hand names the address.
   */
  readonly winners: readonly Claim[];
  readonly losers: readonly Claim[];
  /** The namespace that has the address. */
  readonly namespace: string;
}

/** Pods and entries are searched only where there is something to decide. */
export function createJudge(
  pods: readonly CachePod[],
  entries: readonly { readonly entry: CacheEntry }[],
  previous: Previous,
): Judge {
  const byAddress = new Map(pods.flatMap((pod) => pod.addresses.map((address) => [address, pod] as const)));
  let had: ReadonlyMap<string, string | undefined> | undefined;
  return {
    pod: (address) => byAddress.get(address),
    isProtected: (pod, address) =>
      entries.some(({ entry }) => entry.families.includes(familyOf(address)) && selects(entry, pod)),
    before(address) {
      had ??= new Map(
        [...(previous?.lost ?? []), ...(previous?.endpoints ?? []), ...(previous?.localEndpoints ?? [])].map(
          (endpoint) => [endpoint.address, endpoint.namespace],
        ),
      );
      return had.get(address);
    },
  };
}

/**
 * Decides which namespace an address belongs to, so that what one namespace says of another's address adds
 * nothing there. On its own node the protected pod that has it decides. Elsewhere a slice that Kubernetes
 * made comes before one that somebody wrote, then the namespace that had the address before, then that of the
 * first item in the order of policies, which is the administrator's word and the same on all nodes. Who
 * named the address first does not matter. Where slices by hand alone name an address, nothing tells whose it
 * is: then the ports of all of them are protected, so that no namespace takes another one's protection away.
 */
export function decide(address: string, claims: readonly Claim[], judge: Judge): Verdict {
  const pod = judge.pod(address);
  const [first] = claims;
  const namespace = first?.namespace ?? '';
  // Nearly always there is nothing to decide. A node's own address is of no namespace: hostNetwork pods of
  // all of them have it, and only what may speak for it has come here.
  if (
    first?.host === true ||
    ((pod?.namespace ?? namespace) === namespace &&
      claims.every((claim) => claim.namespace === namespace && claim.node === first?.node))
  ) {
    return { winners: claims, losers: [], namespace };
  }
  const isForeign = pod !== undefined && claims.some((claim) => claim.namespace !== pod.namespace);
  const owner = isForeign && judge.isProtected(pod, address) ? pod.namespace : undefined;
  const isContested = claims.some((claim) => claim.namespace !== namespace);
  const before = isContested ? judge.before(address) : undefined;
  const ranked = [...claims].sort(
    (a, b) =>
      Number(b.managed) - Number(a.managed) ||
      Number(b.namespace === before) - Number(a.namespace === before) ||
      a.rank - b.rank ||
      (a.slice.metadata.name < b.slice.metadata.name ? -1 : 1),
  );
  const winner = owner ?? ranked[0]?.namespace ?? '';
  const isAnybodys = owner === undefined && ranked[0]?.managed === false;
  const own = isAnybodys ? ranked : ranked.filter((claim) => claim.namespace === winner);
  return {
    // An address is lost only if nothing of its own namespace says where it is.
    winners: [...own.filter(({ node }) => node !== NOWHERE), ...own.filter(({ node }) => node === NOWHERE)],
    losers: isAnybodys ? [] : ranked.filter((claim) => claim.namespace !== winner),
    namespace: winner,
  };
}
