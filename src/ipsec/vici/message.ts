/** A value's bytes. Decoding gives a string wherever the bytes are valid UTF-8, else the bytes themselves (DER). */
export type ViciValue = string | Uint8Array;

export type ViciElement = ViciValue | readonly ViciValue[] | ViciMessage;

/**
 * A message or a section of one, elements in their order (the order of children counts for charon).
 * A key that looks like an array index would lose its place; no name of ours does.
 */
export interface ViciMessage {
  readonly [key: string]: ViciElement;
}

/** Element types of a message (README.vici, message format). */
export const ELEMENT = {
  sectionStart: 1,
  sectionEnd: 2,
  keyValue: 3,
  listStart: 4,
  listItem: 5,
  listEnd: 6,
} as const;

export const MAX_NAME_BYTES = 0xff;
export const MAX_VALUE_BYTES = 0xffff;
