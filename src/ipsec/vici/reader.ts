import { ViciError } from './error.ts';
import type { ViciValue } from './message.ts';

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads from the front of a packet to its end. Every error names the offset. */
export class Reader {
  readonly #bytes: Uint8Array;
  #offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  get done(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  /** @throws ViciError `malformed` if the packet is too short, as all reads do */
  byte(what: string): number {
    const value = this.#bytes[this.#offset];
    if (value === undefined) {
      throw this.#short(1, what);
    }
    this.#offset += 1;
    return value;
  }

  name(what: string): string {
    const length = this.byte(`length of ${what}`);
    const at = this.#offset;
    const name = text(this.#take(length, what));
    if (typeof name !== 'string') {
      throw malformed(at, `${what} is not text`);
    }
    return name;
  }

  value(what: string): ViciValue {
    const length = this.byte(`length of ${what}`) * 0x100 + this.byte(`length of ${what}`);
    return text(this.#take(length, what));
  }

  #take(length: number, what: string): Uint8Array {
    if (length > this.#bytes.length - this.#offset) {
      throw this.#short(length, what);
    }
    const taken = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return taken;
  }

  #short(length: number, what: string): ViciError {
    const left = this.#bytes.length - this.#offset;
    return malformed(this.#offset, `${what} has ${length} bytes, only ${left} are left`);
  }
}

export function malformed(offset: number, what: string): ViciError {
  return new ViciError('malformed', `broken VICI packet at offset ${offset}: ${what}`);
}

function text(bytes: Uint8Array): ViciValue {
  try {
    return UTF8.decode(bytes);
  } catch {
    return Uint8Array.from(bytes);
  }
}
