/**
 * How many traffic selectors one side of a child has at most. A payload of IKE counts at most 255 (RFC 7296
 * 3.13), of which the label takes one; charon refuses an IKE_AUTH with more as INVALID_SYNTAX.
 */
export const TRAFFIC_SELECTORS = 128;

/**
 * How many bytes all children of one connection may take in VICI, by a generous estimate. A packet has at
 * most 512 KiB.
 */
export const CONNECTION_BYTES = 448 * 1024;
