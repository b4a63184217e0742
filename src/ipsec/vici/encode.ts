import { ViciError } from './error.ts';
import {
  ELEMENT,
  MAX_NAME_BYTES,
  MAX_VALUE_BYTES,
  type ViciElement,
  type ViciMessage,
  type ViciValue,
} from './message.ts';

/** Encodes a message. @throws ViciError `too-long`, which names the key */
export function encodeMessage(message: ViciMessage): Uint8Array {
  return Buffer.concat(encodeSection(message));
}

/** Encodes a name, behind its 8-bit length. @throws ViciError `too-long` */
export function encodeName(name: string): Uint8Array {
  const bytes = Buffer.from(name);
  if (bytes.length > MAX_NAME_BYTES) {
    throw new ViciError('too-long', `name of ${bytes.length} bytes: ${name.slice(0, 40)}…`);
  }
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}

function encodeSection(section: ViciMessage): Uint8Array[] {
  return Object.entries(section).flatMap(([key, element]) => encodeElement(key, element));
}

function encodeElement(key: string, element: ViciElement): Uint8Array[] {
  const name = encodeName(key);
  if (isValue(element)) {
    return [Uint8Array.of(ELEMENT.keyValue), name, encodeValue(key, element)];
  }
  if (isList(element)) {
    return [
      Uint8Array.of(ELEMENT.listStart),
      name,
      ...element.flatMap((item) => [Uint8Array.of(ELEMENT.listItem), encodeValue(key, item)]),
      Uint8Array.of(ELEMENT.listEnd),
    ];
  }
  return [
    Uint8Array.of(ELEMENT.sectionStart),
    name,
    ...encodeSection(element),
    Uint8Array.of(ELEMENT.sectionEnd),
  ];
}

function encodeValue(key: string, value: ViciValue): Uint8Array {
  const bytes = Buffer.from(value);
  if (bytes.length > MAX_VALUE_BYTES) {
    throw new ViciError('too-long', `value of ${key} has ${bytes.length} bytes, at most ${MAX_VALUE_BYTES}`);
  }
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function isValue(element: ViciElement): element is ViciValue {
  return typeof element === 'string' || element instanceof Uint8Array;
}

function isList(element: readonly ViciValue[] | ViciMessage): element is readonly ViciValue[] {
  return Array.isArray(element);
}
