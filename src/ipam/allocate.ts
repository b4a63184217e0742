import { CniError, CODE } from '../cni/error.ts';
import { type Address, formatAddress, sameAddress } from '../ip/address.ts';
import { contains, formatRange, type Range, type RangeSet } from './range.ts';
import type { Lease, Owner, Store } from './store.ts';

/** An address that was taken, and the range that it is from. */
export interface Allocation {
  readonly address: Address;
  readonly range: Range;
}

export interface AllocateOptions {
  readonly owner: Owner & { readonly netns: string };
  readonly requested: readonly Address[];
  /** Picks the leases that nobody can use any more. Called only when a set has no address left. */
  readonly gone: (leases: readonly Lease[]) => Promise<readonly Lease[]>;
}

/**
 * Takes one address of each set, in host-local's order: from the one after the last that was given out,
 * around the set, without gateways. Addresses that were given back come last, those that have been free for
 * the longest time first. Takes an address of every set or none at all. Throws CniError 11 (no address left),
 * 110 (a requested address cannot be given) or 111 (the attachment has an address already).
 */
export async function allocate(
  store: Store,
  sets: readonly RangeSet[],
  options: AllocateOptions,
): Promise<Allocation[]> {
  const done: Allocation[] = [];
  const open = [...options.requested];
  try {
    for (const [index, set] of sets.entries()) {
      const wish = open.findIndex((address) => set.some((range) => contains(range, address)));
      const [requested] = wish < 0 ? [] : open.splice(wish, 1);
      done.push(
        requested === undefined
          ? await next(store, { set, index }, options)
          : request(store, { set, index }, { requested, owner: options.owner }),
      );
    }
    if (open.length > 0) {
      const names = open.map(formatAddress).join(', ');
      throw new CniError(
        CODE.addressUnavailable,
        `requested ${names}: in no range, or in one that has given an address already`,
      );
    }
    return done;
  } catch (error) {
    for (const { address } of done) {
      store.free(address);
    }
    throw error;
  }
}

interface NumberedSet {
  readonly set: RangeSet;
  readonly index: number;
}

function request(
  store: Store,
  { set, index }: NumberedSet,
  { requested, owner }: { readonly requested: Address; readonly owner: AllocateOptions['owner'] },
): Allocation {
  const text = formatAddress(requested);
  const range = set.find((one) => contains(one, requested));
  if (range === undefined || requested.value === range.gateway) {
    throw new CniError(CODE.addressUnavailable, `requested ${text}: it is the gateway of its subnet`);
  }
  if (!store.take(requested, owner, index)) {
    throw new CniError(CODE.addressUnavailable, `requested ${text}: somebody has it`);
  }
  return { address: requested, range };
}

async function next(
  store: Store,
  { set, index }: NumberedSet,
  { owner, gone }: AllocateOptions,
): Promise<Allocation> {
  const leases = [...store.leases().values()].filter(({ address }) =>
    set.some((range) => contains(range, address)),
  );
  const own = leases.find(
    ({ containerId, ifName }) => containerId === owner.containerId && ifName === owner.ifName,
  );
  if (own !== undefined) {
    throw new CniError(
      CODE.alreadyAllocated,
      `container ${owner.containerId} has ${formatAddress(own.address)} already`,
    );
  }
  let found = pick(store, { set, index }, owner);
  if (found === undefined) {
    for (const { address } of await gone(leases)) {
      store.free(address);
    }
    found = pick(store, { set, index }, owner);
  }
  if (found === undefined) {
    throw new CniError(CODE.tryAgainLater, `no address left in ${set.map(formatRange).join(',')}`);
  }
  return found;
}

/**
 * Takes the next free address of a set. It takes as many steps as addresses are given out or were given back,
 * not as many as the set has addresses.
 */
function pick(
  store: Store,
  { set, index }: NumberedSet,
  owner: AllocateOptions['owner'],
): Allocation | undefined {
  const [taken, freed] = [store.taken(), store.freedAt()];
  const back: Allocation[] = [];
  for (const allocation of walk(set, store.last(index))) {
    const text = formatAddress(allocation.address);
    if (taken.has(text)) {
      continue;
    }
    if (freed.has(text)) {
      back.push(allocation);
    } else if (store.take(allocation.address, owner, index)) {
      return allocation;
    }
  }
  const timeOf = ({ address }: Allocation): number => freed.get(formatAddress(address)) ?? 0;
  return back.sort((a, b) => timeOf(a) - timeOf(b)).find(({ address }) => store.take(address, owner, index));
}

/** Every address of the set once, beginning with the one after `last`, without gateways. */
function* walk(set: RangeSet, last: Address | undefined): Generator<Allocation> {
  const at = last === undefined ? -1 : set.findIndex((range) => contains(range, last));
  const first = set[at];
  if (first === undefined || last === undefined) {
    for (const range of set) {
      yield* span(range, range.start, range.end);
    }
    return;
  }
  yield* span(first, last.value + 1n, first.end);
  for (const range of [...set.slice(at + 1), ...set.slice(0, at)]) {
    yield* span(range, range.start, range.end);
  }
  yield* span(first, first.start, last.value);
}

function* span(range: Range, from: bigint, to: bigint): Generator<Allocation> {
  const gateway = { family: range.family, value: range.gateway };
  for (let value = from; value <= to; value += 1n) {
    const address = { family: range.family, value };
    if (!sameAddress(address, gateway)) {
      yield { address, range };
    }
  }
}
