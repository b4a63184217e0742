import { ViciError } from './error.ts';
import { malformed } from './reader.ts';

/** Longest packet either side sends (README.vici, transport protocol). */
export const MAX_PACKET_BYTES = 512 * 1024;

const HEADER_BYTES = 4;

/** Encodes a packet, behind its 32-bit length. @throws ViciError `too-long` */
export function encodeFrame(packet: Uint8Array): Uint8Array {
  if (packet.length > MAX_PACKET_BYTES) {
    throw new ViciError('too-long', `packet of ${packet.length} bytes, at most ${MAX_PACKET_BYTES}`);
  }
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(packet.length);
  return Buffer.concat([header, packet]);
}

/** Cuts a byte stream into packets, in whatever pieces the stream arrives. */
export class FrameReader {
  #pieces: Uint8Array[] = [];
  #buffered = 0;
  /** How many bytes must be there before another packet can be complete. */
  #needed = HEADER_BYTES;

  /**
   * Takes a piece of the stream and returns the packets that it completes. @throws ViciError `malformed` if a
   * packet is longer than the protocol allows
   */
  push(piece: Uint8Array): Uint8Array[] {
    this.#pieces.push(piece);
    this.#buffered += piece.length;
    if (this.#buffered < this.#needed) {
      return [];
    }
    const packets: Uint8Array[] = [];
    const whole = Buffer.concat(this.#pieces);
    let begin = 0;
    for (;;) {
      const body = begin + HEADER_BYTES;
      const length = whole.length < body ? undefined : whole.readUInt32BE(begin);
      if (length !== undefined && length > MAX_PACKET_BYTES) {
        throw malformed(0, `length ${length}, at most ${MAX_PACKET_BYTES} allowed`);
      }
      if (length === undefined || whole.length < body + length) {
        this.#needed = HEADER_BYTES + (length ?? 0);
        break;
      }
      packets.push(whole.subarray(body, body + length));
      begin = body + length;
    }
    this.#pieces = [whole.subarray(begin)];
    this.#buffered = whole.length - begin;
    return packets;
  }
}
