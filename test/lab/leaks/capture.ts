import { readFileSync } from 'node:fs';

/** A packet of the capture; `at` in milliseconds since the epoch. */
export interface CapturedPacket {
  readonly at: number;
  readonly bytes: Buffer;
}

const GLOBAL_HEADER = 24;
const RECORD_HEADER = 16;
const LITTLE_MICROSECONDS = 0xa1b2c3d4;

/** The packets of a pcap file as tcpdump writes it here; a record that is still being written is left out. */
export function readCapture(path: string): CapturedPacket[] {
  const file = readFileSync(path);
  if (file.length < GLOBAL_HEADER || file.readUInt32LE(0) !== LITTLE_MICROSECONDS) {
    throw new Error(`${path}: not a capture of this machine's byte order with microseconds`);
  }
  const packets: CapturedPacket[] = [];
  let offset = GLOBAL_HEADER;
  while (offset + RECORD_HEADER <= file.length) {
    const [seconds, micros, length] = [0, 4, 8].map((at) => file.readUInt32LE(offset + at));
    const start = offset + RECORD_HEADER;
    const end = start + (length ?? 0);
    if (end > file.length) {
      break;
    }
    packets.push({ at: (seconds ?? 0) * 1_000 + (micros ?? 0) / 1_000, bytes: file.subarray(start, end) });
    offset = end;
  }
  return packets;
}

/** How many packets of a stretch of time have the text anywhere: as payload, in a fragment, quoted by an ICMP error. */
export function countText(
  packets: readonly CapturedPacket[],
  text: string,
  from: number,
  to: number,
): number {
  return packets.filter(({ at, bytes }) => at >= from && at < to && bytes.includes(text)).length;
}
