import { type Address, formatAddress, parseAddress } from '../ip/address.ts';
import { type Family, widthOf } from '../ip/family.ts';

/**
 * The addresses from `start` to `end` (both included) of a subnet, without its gateway. All are of one
 * family.
 */
export interface Range {
  readonly family: Family;
  /** Prefix length. */
  readonly bits: number;
  readonly network: bigint;
  readonly start: bigint;
  readonly end: bigint;
  readonly gateway: bigint;
}

/** An attachment gets one address of each set; the ranges of a set are used in turn. */
export type RangeSet = readonly Range[];

/** A range as the configuration gives it, with the names of host-local. */
export interface RangeConfig {
  readonly subnet: string;
  readonly rangeStart?: string | undefined;
  readonly rangeEnd?: string | undefined;
  readonly gateway?: string | undefined;
}

/** A range or a set of ranges cannot be used. The message names the field and the value. */
export class RangeConfigError extends Error {
  override readonly name = 'RangeConfigError';
}

const fail = (message: string): never => {
  throw new RangeConfigError(message);
};

/** Checks a range and fills in what it leaves out, both as host-local does. Throws RangeConfigError. */
export function parseRange({ subnet, rangeStart, rangeEnd, gateway }: RangeConfig): Range {
  const [text = '', prefix = ''] = subnet.split('/');
  const address = /^\d{1,3}$/.test(prefix) ? parseAddress(text) : undefined;
  if (address === undefined) {
    return fail(`subnet: ${JSON.stringify(subnet)} is not a CIDR`);
  }
  const { family } = address;
  const width = widthOf(family);
  const bits = Number(prefix);
  if (bits > width || bits === 0) {
    return fail(`subnet: ${JSON.stringify(subnet)} is not a CIDR`);
  }
  if (bits > width - 2) {
    return fail(`subnet: ${subnet} is too small to allocate from`);
  }
  const hosts = (1n << BigInt(width - bits)) - 1n;
  const network = address.value - (address.value & hosts);
  if (network !== address.value) {
    return fail(
      `subnet: ${subnet} has host bits set; its network is ${formatAddress({ family, value: network })}`,
    );
  }
  const last = network + hosts - (family === 4 ? 1n : 0n);
  const within = (field: string, value: string | undefined, otherwise: bigint): bigint => {
    if (value === undefined) {
      return otherwise;
    }
    const parsed = parseAddress(value) ?? fail(`${field}: ${JSON.stringify(value)} is not an address`);
    const inside = parsed.family === family && parsed.value >= network && parsed.value <= network + hosts;
    return inside ? parsed.value : fail(`${field}: ${value} is not in ${subnet}`);
  };
  const start = within('rangeStart', rangeStart, network + 1n);
  const end = within('rangeEnd', rangeEnd, last);
  if (start > end) {
    return fail(`rangeEnd: ${rangeEnd ?? ''} is before rangeStart ${rangeStart ?? ''}`);
  }
  return { family, bits, network, start, end, gateway: gatewayOf(gateway, family, network + 1n) };
}

/** The gateway need not be in the subnet: the pod may have a route to it. Throws RangeConfigError. */
function gatewayOf(text: string | undefined, family: Family, otherwise: bigint): bigint {
  if (text === undefined) {
    return otherwise;
  }
  const parsed = parseAddress(text) ?? fail(`gateway: ${JSON.stringify(text)} is not an address`);
  return parsed.family === family ? parsed.value : fail(`gateway: ${text} is not of the subnet's family`);
}

/** Throws RangeConfigError if two ranges have addresses in common, or a set is empty or of two families. */
export function checkSets(sets: readonly RangeSet[]): void {
  for (const [index, set] of sets.entries()) {
    const [first] = set;
    if (first === undefined) {
      fail(`ranges[${index}]: empty`);
    } else if (set.some(({ family }) => family !== first.family)) {
      fail(`ranges[${index}]: IPv4 and IPv6 in one set`);
    }
  }
  const all = sets.flatMap((set, index) => set.map((range) => ({ range, index })));
  for (const [at, { range, index }] of all.entries()) {
    const other = all.slice(at + 1).find((one) => overlaps(range, one.range));
    if (other !== undefined) {
      fail(
        `ranges[${index}] and ranges[${other.index}]: ${formatRange(range)} and ${formatRange(other.range)} overlap`,
      );
    }
  }
}

/** Whether two ranges have an address in common. */
function overlaps(a: Range, b: Range): boolean {
  return a.family === b.family && a.start <= b.end && b.start <= a.end;
}

export function contains({ family, start, end }: Range, address: Address): boolean {
  return address.family === family && address.value >= start && address.value <= end;
}

export function formatRange({ family, start, end }: Range): string {
  return `${formatAddress({ family, value: start })}-${formatAddress({ family, value: end })}`;
}
