import type { EndpointSlice } from '../../../cluster/objects.ts';
import type { Confirmed } from '../../../cluster/outside.ts';
import { rememberedAddress } from '../../../ip/remembered.ts';
import { unusable } from '../../../ip/unusable.ts';
import type { Place } from '../locate.ts';
import { isManaged, mayNameNodes } from './slices.ts';

/** Where an address lives. */
export interface Placement extends Place {
  readonly address: string;
}

export interface Whereabouts {
  readonly locate: (address: string) => Place | undefined;
  /** The names of all nodes. */
  readonly names: ReadonlySet<string>;
  /** By node: the addresses that its agent confirms to be pods of its own. */
  readonly confirmed: Confirmed;
}

const CLOSED = ': nothing is sent to its protected ports';

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

/** `why` says what of the endpoint does not count; with a place, the address counts, but lives there. */
export interface Placed {
  readonly place?: Placement;
  /** The canonical address of a pod that is on no known node, as Kubernetes itself says: it needs closing. */
  readonly lost?: string;
  readonly why?: string;
}

/**
 * Finds where an address of a slice lives. Nodes' own addresses and pod CIDRs tell it; they are not the
 * word of whoever writes slices. A primary CNI may lend addresses of one node's block to another: then
 * `nodeName` counts, if the agent of that node confirms the address. A node's own address is never lent. The
 * edges of a pod CIDR are the node's own as well, unless Kubernetes lists a pod there (Calico uses them): its
 * bridge has one of them, and what is for it is not forwarded. A pod that Kubernetes lists is in the cluster,
 * so that an address of it that has no place is lost; slices by hand may name what is outside of the cluster.
 */
export function place(text: string, slice: EndpointSlice, endpoint: Endpoint, where: Whereabouts): Placed {
  const address = rememberedAddress(text);
  if (address === undefined) {
    return { why: 'is no address' };
  }
  const special = unusable(address);
  if (special !== undefined) {
    return { why: `is no address of a pod: ${special}` };
  }
  const found = where.locate(address);
  const said = endpoint.nodeName ?? '';
  const named = where.names.has(said) ? said : undefined;
  if ((found?.host === true || found?.edge === true) && !mayNameNodes(slice)) {
    return { why: `is Node ${found.node}'s own: only slices of hostNetwork pods and of kube-system name it` };
  }
  if (found?.edge === true && !isManaged(slice)) {
    return { place: { address, node: found.node, host: true } };
  }
  if (named !== undefined && found?.host !== true && where.confirmed.get(named)?.has(address) === true) {
    return { place: { address, node: named, host: false } };
  }
  const disagrees = named !== undefined && named !== found?.node;
  if (found === undefined) {
    const lost = isManaged(slice) ? { lost: address } : {};
    return {
      ...lost,
      why: `is on no known node${disagrees ? `, and the agent of ${named} does not confirm it` : ''}${isManaged(slice) ? CLOSED : ''}`,
    };
  }
  const why = `lives on ${found.node}: the agent of ${named}, which nodeName says, does not confirm it`;
  return { place: { address, node: found.node, host: found.host }, ...(disagrees ? { why } : {}) };
}
