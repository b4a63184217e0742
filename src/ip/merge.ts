import { formatAddress } from './address.ts';
import { canonicalCidr } from './cidr.ts';
import { type Family, familyOf, widthOf } from './family.ts';
import { numberOf } from './number.ts';

/** Addresses of one family, both ends inclusive. */
interface Interval {
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * The fewest CIDRs that have the same addresses as those given, without overlaps: IPv4 before IPv6, then by
 * address. `refused`: the texts that are no CIDR.
 */
export function mergeCidrs(texts: readonly string[]): {
  readonly cidrs: readonly string[];
  readonly refused: readonly string[];
} {
  const canonical = [...new Set(texts)].map((text) => ({ text, cidr: canonicalCidr(text) }));
  const cidrs = canonical.flatMap(({ cidr }) => cidr ?? []);
  return {
    cidrs: ([4, 6] as const).flatMap((family) =>
      merge(cidrs.filter((cidr) => familyOf(cidr) === family).map(intervalOf)).flatMap((interval) =>
        cidrsOf(family, interval),
      ),
    ),
    refused: canonical.filter(({ cidr }) => cidr === undefined).map(({ text }) => text),
  };
}

function intervalOf(cidr: string): Interval {
  const [network = '', bits] = cidr.split('/');
  const size = 1n << BigInt(widthOf(familyOf(cidr)) - Number(bits));
  const first = numberOf(network);
  return { first, last: first + size - 1n };
}

/** Those that overlap or touch one another become one. */
function merge(intervals: readonly Interval[]): Interval[] {
  const merged: Interval[] = [];
  for (const next of [...intervals].sort((a, b) => (a.first < b.first ? -1 : 1))) {
    const last = merged.at(-1);
    if (last !== undefined && next.first <= last.last + 1n) {
      const covered = next.last <= last.last;
      merged[merged.length - 1] = { first: last.first, last: covered ? last.last : next.last };
    } else {
      merged.push(next);
    }
  }
  return merged;
}

/** The fewest CIDRs that make up an interval: each is the largest that begins there and ends within. */
function cidrsOf(family: Family, { first, last }: Interval): string[] {
  const width = widthOf(family);
  const found: string[] = [];
  for (let at = first; at <= last; ) {
    let bits = width;
    while (
      bits > 0 &&
      at % (1n << BigInt(width - bits + 1)) === 0n &&
      at + (1n << BigInt(width - bits + 1)) - 1n <= last
    ) {
      bits -= 1;
    }
    found.push(`${formatAddress({ family, value: at })}/${bits}`);
    at += 1n << BigInt(width - bits);
  }
  return found;
}
