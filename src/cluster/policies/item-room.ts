import { BOUNDS } from '../bounds.ts';
import type { EndpointSlice, Service } from '../objects.ts';
import { type BoundedSlices, boundSlices, oldestFirst, type Room } from './bounded-slices.ts';

/** What a Service takes of the room that all Services of an item have together. */
export interface Taking extends Pick<Service, 'metadata'> {
  readonly slices: readonly EndpointSlice[];
  readonly ports: readonly { readonly target: number | string }[];
  readonly used: Room;
}

/**
 * The slices of Services for which an item for every Service of a namespace has no room, as far as they
 * count: what each Service may have by itself would be too much if there are many. The oldest Services come
 * first, so that new ones take nothing from them. Empty if there is room for all.
 */
export function shareRoom<T extends Taking>(services: readonly T[]): ReadonlyMap<T, BoundedSlices> {
  const shared = new Map<T, BoundedSlices>();
  let room: Room = { pairs: BOUNDS.pairsPerItem, whole: BOUNDS.wholePairs };
  if (fits(total(services), room)) {
    return shared;
  }
  for (const service of oldestFirst(services)) {
    const within = fits(service.used, room)
      ? undefined
      : boundSlices(service.slices, service.ports, {
          pairs: Math.min(room.pairs, BOUNDS.pairsPerService),
          whole: room.whole,
        });
    if (within !== undefined) {
      shared.set(service, within);
    }
    const { pairs, whole } = within?.used ?? service.used;
    room = { pairs: room.pairs - pairs, whole: room.whole - whole };
  }
  return shared;
}

function fits(used: Room, room: Room): boolean {
  return used.pairs <= room.pairs && used.whole <= room.whole;
}

function total(services: readonly Taking[]): Room {
  return services.reduce(
    (sum, { used }) => ({ pairs: sum.pairs + used.pairs, whole: sum.whole + used.whole }),
    { pairs: 0, whole: 0 },
  );
}
