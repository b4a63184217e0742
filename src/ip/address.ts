/**
 * Addresses and CIDRs: reading them as text, the one canonical text form of each, and arithmetic on them.
 *
 * All else that compares addresses as texts relies on this form, which is the kernel's own. The room imports
 * nothing of the project and no package: the plugin loads it for every pod (test/cni/imports.test.ts).
 */

import { isIP } from 'node:net';
import { type Family, familyOf } from './family.ts';
import { numberOf } from './number.ts';

/** An address as a number, with its family. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/**
 * An address as the kernel writes it, or undefined if the text is no address. IPv6 is as RFC 5952 has it, but
 * a mapped IPv4 address is `::ffff:a00:1`. Blanks around the text, leading zeros of an IPv4 octet and zone
 * ids are not accepted.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIP(text) === 0 || text.includes('%')) {
    return undefined;
  }
  const url = URL.parse(text.includes(':') ? `http://[${text}]/` : `http://${text}/`);
  return url?.hostname.replace(/^\[|\]$/g, '');
}

/** Undefined if the text is no address. */
export function parseAddress(text: string): Address | undefined {
  const canonical = canonicalAddress(text);
  return canonical === undefined ? undefined : { family: familyOf(canonical), value: numberOf(canonical) };
}

/** The canonical text form. */
export function formatAddress({ family, value }: Address): string {
  const size = family === 4 ? 8n : 16n;
  const count = family === 4 ? 4 : 8;
  const mask = (1n << size) - 1n;
  const parts = Array.from(
    { length: count },
    (_, index) => (value >> (BigInt(count - 1 - index) * size)) & mask,
  );
  return family === 4
    ? parts.join('.')
    : (canonicalAddress(parts.map((part) => part.toString(16)).join(':')) ?? '');
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}
