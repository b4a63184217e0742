import { ELEMENT, type ViciElement, type ViciMessage, type ViciValue } from './message.ts';
import { malformed, Reader } from './reader.ts';

/**
 * Decodes the message that fills the rest of a packet from `offset` on.
 *
 * @throws ViciError `malformed`, which names offset and element: cut off, unknown element, unbalanced
 * sections or lists, a key twice
 */
export function decodeMessage(packet: Uint8Array, offset = 0): ViciMessage {
  return readSection(new Reader(packet, offset), undefined);
}

function readSection(reader: Reader, name: string | undefined): ViciMessage {
  const elements = new Map<string, ViciElement>();
  while (!reader.done) {
    const at = reader.offset;
    const type = reader.byte('element type');
    if (type === ELEMENT.sectionEnd) {
      if (name === undefined) {
        throw malformed(at, 'end of a section that was never begun');
      }
      return Object.fromEntries(elements);
    }
    const key = readKey(reader, type, at);
    if (elements.has(key)) {
      throw malformed(at, `${key} occurs twice in ${name ?? 'the message'}`);
    }
    elements.set(key, readElement(reader, type, key));
  }
  if (name !== undefined) {
    throw malformed(reader.offset, `section ${name} has no end`);
  }
  return Object.fromEntries(elements);
}

function readKey(reader: Reader, type: number, at: number): string {
  switch (type) {
    case ELEMENT.sectionStart:
      return reader.name('section name');
    case ELEMENT.keyValue:
      return reader.name('key');
    case ELEMENT.listStart:
      return reader.name('list name');
    default:
      throw malformed(at, `element type ${type} has no place here`);
  }
}

function readElement(reader: Reader, type: number, key: string): ViciElement {
  switch (type) {
    case ELEMENT.sectionStart:
      return readSection(reader, key);
    case ELEMENT.listStart:
      return readList(reader, key);
    default:
      return reader.value(`value of ${key}`);
  }
}

function readList(reader: Reader, name: string): ViciValue[] {
  const items: ViciValue[] = [];
  for (;;) {
    const at = reader.offset;
    if (reader.done) {
      throw malformed(at, `list ${name} has no end`);
    }
    const type = reader.byte('element type');
    if (type === ELEMENT.listEnd) {
      return items;
    }
    if (type !== ELEMENT.listItem) {
      throw malformed(at, `element type ${type} in list ${name}`);
    }
    items.push(reader.value(`item of ${name}`));
  }
}
