import { BOUNDS } from '../bounds.ts';
import type { EndpointSlice, Service } from '../objects.ts';

/** The slices of a Service as far as the bounds allow. */
export interface BoundedSlices {
  readonly slices: readonly EndpointSlice[];
  /** Which bound was reached; empty if none was. */
  readonly excess: string;
}

/**
 * The slices of a Service that count, and of them the addresses: each address costs policies for each of
 * `ports` protected ports, on every node. What is left out is an unlisted endpoint (docs/design.md, Unlisted
 * and departed), which peers' pod CIDRs cover. The oldest slices come first, so that new ones take nothing
 * from them, and all nodes choose the same ones.
 */
export function boundSlices(slices: readonly EndpointSlice[], ports: number): BoundedSlices {
  const most = Math.min(BOUNDS.addressesPerService, Math.floor(BOUNDS.pairsPerService / Math.max(1, ports)));
  const total = slices.reduce((sum, slice) => sum + addressesIn(slice), 0);
  if (slices.length <= BOUNDS.slicesPerService && total <= most) {
    return { slices, excess: '' };
  }
  let left = most;
  const kept = oldestFirst(slices)
    .slice(0, BOUNDS.slicesPerService)
    .map((slice) => {
      const cut = firstAddresses(slice, left);
      left -= addressesIn(cut);
      return cut;
    });
  const excess =
    slices.length > BOUNDS.slicesPerService
      ? `${slices.length} EndpointSlices are too many, only the oldest ${BOUNDS.slicesPerService} count`
      : `${total} addresses are too many for ${ports} protected ports, only the first ${most} count`;
  return { slices: kept, excess: `${excess}; the others are unlisted endpoints` };
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
