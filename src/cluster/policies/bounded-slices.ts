import { isEveryPort } from '../../ipsec/plan/ports.ts';
import { BOUNDS } from '../bounds.ts';
import type { EndpointSlice, Service } from '../objects.ts';

/** The slices of a Service as far as the bounds allow. */
export interface BoundedSlices {
  readonly slices: readonly EndpointSlice[];
  /** The addresses after them, at which only protocols that are protected as a whole count. */
  readonly rest: readonly EndpointSlice[];
  /** Whether addresses are left out, here or where the slices come in. */
  readonly beyond: boolean;
  /** Which bound was reached here; empty if none was. */
  readonly excess: string;
  /** What `slices` and `rest` take. */
  readonly used: Room;
}

/** How many pairs of an address and a port, and of an address in `rest` and a protocol. */
export interface Room {
  readonly pairs: number;
  readonly whole: number;
}

const OF_SERVICE: Room = { pairs: BOUNDS.pairsPerService, whole: BOUNDS.wholePairs };

/**
 * The slices of a Service that count, and of them the addresses: each address costs policies for each
 * protected port, on every node. The port numbers are protected at what is left out, too, with the pod CIDRs
 * of peers (docs/design.md, Unlisted and departed). CIDRs cannot do that for whole protocols, which would
 * take all other pods' traffic along, so for these there is room for more addresses. The oldest slices come
 * first, so that new ones take nothing from them, and all nodes choose the same ones.
 */
export function boundSlices(
  slices: readonly EndpointSlice[],
  ports: readonly { readonly target: number | string }[],
  room: Room = OF_SERVICE,
): BoundedSlices {
  const each = Math.max(1, ports.length);
  const most = Math.min(BOUNDS.addressesPerService, Math.floor(room.pairs / each));
  const total = sum(slices);
  if (slices.length <= BOUNDS.slicesPerService && total <= most) {
    const beyond = slices.some((slice) => slice.cut === true);
    return { slices, rest: [], beyond, excess: '', used: { pairs: total * each, whole: 0 } };
  }
  const sorted = oldestFirst(slices);
  const kept = cut(sorted.slice(0, BOUNDS.slicesPerService), 0, most);
  const within = sum(kept);
  const protocols = ports.filter(({ target }) => isEveryPort(target)).length;
  const rest =
    protocols === 0 ? [] : cut(sorted, within, Math.floor(room.whole / protocols)).filter(addressesIn);
  const excess =
    slices.length > BOUNDS.slicesPerService
      ? `${slices.length} EndpointSlices are too many, only the oldest ${BOUNDS.slicesPerService} count`
      : `${total} addresses are too many for ${ports.length} protected ports, only the first ${most} count`;
  const open = total - within - sum(rest);
  const unprotected =
    protocols > 0 && open > 0
      ? `; ${open} addresses are not protected where a protocol is protected as a whole`
      : '';
  return {
    slices: kept,
    rest,
    beyond: true,
    excess: `${excess} one by one; the numbers of its ports are protected at all pods of other nodes${unprotected}`,
    used: { pairs: within * each, whole: sum(rest) * protocols },
  };
}

function sum(slices: readonly EndpointSlice[]): number {
  return slices.reduce((all, slice) => all + addressesIn(slice), 0);
}

/** The slices with `most` addresses in all, after those that are skipped. */
function cut(slices: readonly EndpointSlice[], skipped: number, most: number): EndpointSlice[] {
  let [skip, left] = [skipped, most];
  return slices.map((slice) => {
    const after = withoutFirst(slice, skip);
    skip -= addressesIn(slice) - addressesIn(after);
    const taken = firstAddresses(after, left);
    left -= addressesIn(taken);
    return taken;
  });
}

/** By the time when they were made, then by name. */
export function oldestFirst<T extends Pick<Service, 'metadata'>>(objects: readonly T[]): T[] {
  const key = ({ metadata: { creationTimestamp = '', name } }: T): string => `${creationTimestamp} ${name}`;
  return objects
    .map((object) => [key(object), object] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, object]) => object);
}

export function addressesIn({ endpoints }: EndpointSlice): number {
  return (endpoints ?? []).reduce((sum, { addresses }) => sum + addresses.length, 0);
}

function withoutFirst(slice: EndpointSlice, count: number): EndpointSlice {
  if (count === 0) {
    return slice;
  }
  let left = count;
  const endpoints = (slice.endpoints ?? []).flatMap((endpoint) => {
    const addresses = endpoint.addresses.slice(left);
    left -= endpoint.addresses.length - addresses.length;
    return addresses.length === 0 ? [] : [{ ...endpoint, addresses }];
  });
  return { ...slice, endpoints };
}

/** The very slice if it has no more addresses than that. */
export function firstAddresses(slice: EndpointSlice, most: number): EndpointSlice {
  if (addressesIn(slice) <= most) {
    return slice;
  }
  let left = most;
  const endpoints = (slice.endpoints ?? []).flatMap((endpoint) => {
    const addresses = endpoint.addresses.slice(0, left);
    left -= addresses.length;
    return addresses.length === 0 ? [] : [{ ...endpoint, addresses }];
  });
  return { ...slice, endpoints };
}
