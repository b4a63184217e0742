import { decodeMessage } from './decode.ts';
import { encodeMessage, encodeName } from './encode.ts';
import type { ViciMessage } from './message.ts';
import { malformed, Reader } from './reader.ts';

/** Packet types (README.vici, packet layer). */
const TYPE = {
  request: 0,
  response: 1,
  'unknown-command': 2,
  register: 3,
  unregister: 4,
  confirm: 5,
  'unknown-event': 6,
  event: 7,
} as const;

/** What a client sends. */
export type ClientPacket =
  | { readonly type: 'request'; readonly name: string; readonly message: ViciMessage }
  | { readonly type: 'register' | 'unregister'; readonly name: string };

/** What charon sends. */
export type ServerPacket =
  | { readonly type: 'response'; readonly message: ViciMessage }
  | { readonly type: 'unknown-command' | 'confirm' | 'unknown-event' }
  | { readonly type: 'event'; readonly name: string; readonly message: ViciMessage };

/** Encodes a packet. @throws ViciError `too-long` */
export function encodePacket(packet: ClientPacket | ServerPacket): Uint8Array {
  return Buffer.concat([
    Uint8Array.of(TYPE[packet.type]),
    'name' in packet ? encodeName(packet.name) : new Uint8Array(),
    'message' in packet ? encodeMessage(packet.message) : new Uint8Array(),
  ]);
}

/**
 * Decodes a packet that charon sends. @throws ViciError `malformed`, also for a packet that only a client
 * sends
 */
export function decodePacket(bytes: Uint8Array): ServerPacket {
  const reader = new Reader(bytes);
  const type = reader.byte('packet type');
  switch (type) {
    case TYPE.response:
      return { type: 'response', message: decodeMessage(bytes, reader.offset) };
    case TYPE.event: {
      const name = reader.name('event name');
      return { type: 'event', name, message: decodeMessage(bytes, reader.offset) };
    }
    case TYPE['unknown-command']:
      return { type: 'unknown-command' };
    case TYPE.confirm:
      return { type: 'confirm' };
    case TYPE['unknown-event']:
      return { type: 'unknown-event' };
    default:
      throw malformed(0, `packet type ${type} is not one that charon sends`);
  }
}
