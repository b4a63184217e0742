import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readPackets } from '../lab/nodes/wire.ts';

const SNAPLEN = 400;
const RAW_IP = 101;

/** UDP from 10.0.0.1 to 10.0.0.2, port 53. */
const PACKET = Buffer.from('4500001c00010000401100000a0000010a000002c000003500080000', 'hex');

function pcapOf(packets: number): Buffer {
  const header = Buffer.alloc(24);
  for (const [at, value] of [
    [0, 0xa1b2c3d4],
    [4, 0x00040002],
    [16, SNAPLEN],
    [20, RAW_IP],
  ] as const) {
    header.writeUInt32LE(value, at);
  }
  const record = Buffer.alloc(16);
  record.writeUInt32LE(PACKET.length, 8);
  record.writeUInt32LE(PACKET.length, 12);
  return Buffer.concat([header, ...Array.from({ length: packets }, () => Buffer.concat([record, PACKET]))]);
}

const folder = mkdtempSync(join(tmpdir(), 'trapline-wire-'));
const pcap = join(folder, 'wire.pcap');
test.after.always(() => rmSync(folder, { recursive: true }));

test.serial('a packet that is still being written to the capture is left out', async (t) => {
  writeFileSync(pcap, pcapOf(3).subarray(0, -20));
  t.is((await readPackets(pcap, 'udp port 53')).length, 2);
});

test.serial('anything else that tcpdump complains of is an error', async (t) => {
  writeFileSync(pcap, 'no capture at all, but long enough to have a header');
  await t.throwsAsync(readPackets(pcap, 'udp port 53'), { message: /unknown file format/ });
  writeFileSync(pcap, pcapOf(1));
  await t.throwsAsync(readPackets(pcap, 'no such filter'), { message: /syntax error/ });
});
