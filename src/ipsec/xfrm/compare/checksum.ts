import { policyKey } from '../../plan/ours.ts';
import type { XfrmPolicy } from '../../plan/types.ts';

const MODULUS = 2 ** 52;
const HIGH = 2 ** 32;
/** Hashes as FNV-1a does, with another factor for each half of the checksum. */
const BEGIN = 0x811c9dc5;
const FACTOR_LOW = 0x01000193;
const FACTOR_HIGH = 0x2c1b3c6d;

/**
 * A number from 0 to 2^52 for the whole of a policy. `plus` and `minus` add the checksums of a set, in any
 * order: two sets of 100,000 that differ have the same sum with a probability of 2^-52. It is no protection
 * against somebody who wants two sets to have the same sum.
 */
export function checksum(policy: XfrmPolicy): number {
  const { priority, template } = policy;
  const { src, dst, reqid, level, spi = 0 } = template;
  const text = [policyKey(policy), priority, src, dst, reqid, level, spi].join(' ');
  return (hash(text, FACTOR_HIGH) >>> 12) * HIGH + hash(text, FACTOR_LOW);
}

/** The cell of a policy, from 0 to `cells` - 1, by the addresses of its selector. */
export function cellOf({ selector }: XfrmPolicy, cells: number): number {
  return hash(`${selector.src} ${selector.dst}`, FACTOR_LOW) % cells;
}

/** A hash of 32 bits. */
function hash(text: string, factor: number): number {
  let found = BEGIN;
  for (let index = 0; index < text.length; index += 1) {
    found = Math.imul(found ^ text.charCodeAt(index), factor);
  }
  return found >>> 0;
}

export function plus(a: number, b: number): number {
  return (a + b) % MODULUS;
}

export function minus(a: number, b: number): number {
  return (a + MODULUS - b) % MODULUS;
}
