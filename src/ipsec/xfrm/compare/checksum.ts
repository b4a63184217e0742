import { policyKey } from '../../plan/ours.ts';
import type { XfrmPolicy } from '../../plan/types.ts';

const MODULUS = 2 ** 52;
const HIGH = 2 ** 32;
/** As FNV-1a multiplies, with a factor for each half. */
const BEGIN = 0x811c9dc5;
const FACTOR_LOW = 0x01000193;
const FACTOR_HIGH = 0x2c1b3c6d;

/**
 * A number from 0 to 2^52 for all that a policy of ours is. Those of a set are added with `plus` and `minus`: two sets of 100,000 that differ
 * have the same sum with a probability of 2^-52, in whatever order they are listed. No protection against somebody who wants that.
 */
export function checksum(policy: XfrmPolicy): number {
  const { priority, template } = policy;
  const { src, dst, reqid, level, spi = 0 } = template;
  const text = [policyKey(policy), priority, src, dst, reqid, level, spi].join(' ');
  return (hash(text, FACTOR_HIGH) >>> 12) * HIGH + hash(text, FACTOR_LOW);
}

/** One of `cells`, by the addresses of the selector. */
export function cellOf({ selector }: XfrmPolicy, cells: number): number {
  return hash(`${selector.src} ${selector.dst}`, FACTOR_LOW) % cells;
}

/** 32 bits. */
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
