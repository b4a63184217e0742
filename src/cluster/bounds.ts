/**
 * How much of what comes from outside is taken, in one place. What is beyond a bound is left out or
 * coarsened, never the rest with it, and a problem names the object and the bound. docs/trust.md lists them
 * (Bounds).
 */
export const BOUNDS = {
  /**
   * Shortest prefix that a node's pod CIDR may have, by family; bits. A shorter one would cover other nodes'
   * pods, or all.
   */
  podCidrBits: { 4: 16, 6: 48 },
  /** How many CAs an IPsecNode may say that its node trusts. One that says more counts as trusting none. */
  trustedAuthorities: 64,
} as const;
