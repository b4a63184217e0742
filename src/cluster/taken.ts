import { type Family, familyOf, widthOf } from '../ip/family.ts';
import { numberOf } from '../ip/number.ts';

/** Who has a part of the address space, and what part, as messages call it. */
export interface Holder {
  readonly name: string;
  readonly text: string;
}

interface Level {
  readonly bits: number;
  /** What was taken with this length of prefix. */
  readonly exact: Map<bigint, Holder>;
  /** Networks of this length that contain something taken: two holders of different names at most. */
  readonly covers: Map<bigint, readonly Holder[]>;
}

export interface Taken {
  /** Somebody else who has a part of a CIDR. */
  other(cidr: string, name: string): Holder | undefined;
  add(cidr: string, holder: Holder): void;
}

/**
 * What of the address space is given away. `all`: every CIDR that will be asked for. A question and an answer
 * cost one look-up for each length of prefix among them.
 */
export function createTaken(all: readonly string[]): Taken {
  const lengths = new Set(all.map((cidr) => `${familyOf(cidr)}/${partsOf(cidr).bits}`));
  const levels = new Map<number, Level[]>([4, 6].map((family) => [family, []]));
  for (const [family = 0, bits = 0] of [...lengths].map((length) => length.split('/').map(Number))) {
    levels.get(family)?.push({ bits, exact: new Map(), covers: new Map() });
  }
  return {
    other(cidr, name) {
      const { family, bits, prefix } = partsOf(cidr);
      for (const level of levels.get(family) ?? []) {
        const holders =
          level.bits === bits
            ? (level.covers.get(prefix) ?? [])
            : level.bits < bits
              ? [level.exact.get(prefix >> BigInt(bits - level.bits))]
              : [];
        const other = holders.find((holder) => holder !== undefined && holder.name !== name);
        if (other !== undefined) {
          return other;
        }
      }
      return undefined;
    },
    add(cidr, holder) {
      const { family, bits, prefix } = partsOf(cidr);
      for (const level of levels.get(family) ?? []) {
        if (level.bits === bits) {
          level.exact.set(prefix, holder);
        }
        if (level.bits <= bits) {
          const network = prefix >> BigInt(bits - level.bits);
          const before = level.covers.get(network) ?? [];
          if (before.length < 2 && before.every((other) => other.name !== holder.name)) {
            level.covers.set(network, [...before, holder]);
          }
        }
      }
    },
  };
}

/** A CIDR in numbers: `prefix` has its first `bits` bits. */
export function partsOf(cidr: string): { family: Family; bits: number; prefix: bigint } {
  const [network = '', length = ''] = cidr.split('/');
  const family = familyOf(network);
  const bits = Number(length);
  return { family, bits, prefix: numberOf(network) >> BigInt(widthOf(family) - bits) };
}
