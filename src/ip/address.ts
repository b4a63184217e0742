import { isIP } from 'node:net';
import { numberOf } from './number.ts';

/** An address as a number, and of which family. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** An address as the kernel writes it, or undefined if the text is none. Without ip-cidr, which every pod's start would carry along. */
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
  return canonical === undefined
    ? undefined
    : { family: canonical.includes(':') ? 6 : 4, value: numberOf(canonical) };
}

export function widthOf(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** As the kernel writes it. */
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
