import { ViciError } from './error.ts';
import { malformed } from './reader.ts';

/** Longest packet either side sends (README.vici, transport protocol). */
export const MAX_PACKET_BYTES = 512 * 1024;

const HEADER_BYTES = 4;

/** A packet behind its 32-bit length. @throws ViciError `too-long` */
export function encodeFrame(packet: Uint8Array): Uint8Array {
  if (packet.length > MAX_PACKET_BYTES) {
    throw new ViciError('too-long', `packet of ${packet.length} bytes, at most ${MAX_PACKET_BYTES}`);
  }
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(packet.length);
  return Buffer.concat([header, packet]);
}

/** Cuts a byte stream into packets, whatever pieces it arrives in. */
export class FrameReader {
  #pieces: Uint8Array[] = [];
  #buffered = 0;

  /** The packets that the piece completes. @throws ViciError `malformed` if a packet is longer than the protocol allows */
  push(piece: Uint8Array): Uint8Array[] {
    this.#pieces.push(piece);
    this.#buffered += piece.length;
    const packets: Uint8Array[] = [];
    for (let packet = this.#next(); packet !== undefined; packet = this.#next()) {
      packets.push(packet);
    }
    return packets;
  }

  #next(): Uint8Array | undefined {
    const header = this.#peek(HEADER_BYTES);
    if (header === undefined) {
      return undefined;
    }
    const length = header.readUInt32BE(0);
    if (length > MAX_PACKET_BYTES) {
      throw malformed(0, `length ${length}, at most ${MAX_PACKET_BYTES} allowed`);
    }
    const frame = this.#peek(HEADER_BYTES + length);
    if (frame === undefined) {
      return undefined;
    }
    this.#pieces = [frame.subarray(HEADER_BYTES + length)];
    this.#buffered -= HEADER_BYTES + length;
    return frame.subarray(HEADER_BYTES, HEADER_BYTES + length);
  }

  /** All that is buffered, in one piece, if it is at least that long. */
  #peek(length: number): Buffer | undefined {
    if (this.#buffered < length) {
      return undefined;
    }
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [whole];
    return whole;
  }
}
