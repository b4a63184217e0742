/**
 * The bytes of a value. Decoding gives a string if the bytes are valid UTF-8, otherwise the bytes themselves
 * (DER).
 */
export type ViciValue = string | Uint8Array;

export type ViciElement = ViciValue | readonly ViciValue[] | ViciMessage;

/**
 * A message, or a section of one. The elements keep their order, because the order of children matters to
 * charon. JavaScript would move a key that looks like an array index to the front; no name of ours does.
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
