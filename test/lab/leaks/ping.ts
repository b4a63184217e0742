import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { SOCAT } from '../nodes/wire.ts';

/** The types of ICMP echo requests and of what answers them (RFC 792, RFC 4443 4.1). */
const TYPES = {
  icmp: { request: 8, answer: 0 },
  icmp6: { request: 128, answer: 129 },
} as const;
const HEADER_BYTES = 8;
const ID = process.pid & 0xffff;

type Ping = (payload: Buffer, seq: number) => void;

/**
 * Sends ICMP echo requests from a namespace whose loopback device is up. `answered` gets the payload of each answer. Node has no
 * raw sockets: socat has one, and datagrams between the two keep the messages apart.
 */
export async function createPing(address: string, answered: (payload: Buffer) => void): Promise<Ping> {
  const types = TYPES[address.includes(':') ? 'icmp6' : 'icmp'];
  const socket = createSocket('udp4');
  socket.on('message', (message) => {
    if (message.readUInt8(0) === types.answer && message.readUInt16BE(4) === ID) {
      answered(message.subarray(HEADER_BYTES));
    }
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  const raw = types === TYPES.icmp6 ? `IP6-SENDTO:[${address}]:58` : `IP4-SENDTO:${address}:1`;
  const near = `UDP4-DATAGRAM:127.0.0.1:${port},bind=127.0.0.1:${port + 1}`;
  // One that outlived its sender would hold the pod's namespace.
  const socat = ['--pdeathsig', 'KILL', SOCAT, '-d', '-d', near, raw];
  const { stderr } = spawn('/usr/bin/setpriv', socat, { stdio: ['ignore', 'ignore', 'pipe'] });
  await new Promise<void>((resolve, reject) => {
    let said = '';
    stderr.on('data', (text) => {
      said = `${said}${text}`.slice(-1_000);
      if (said.includes('starting data transfer loop')) {
        resolve();
      }
    });
    stderr.once('close', () => reject(new Error(`ICMP echo to ${address}: ${said}`)));
  });
  return (payload, seq) =>
    socket.send(echoRequest(types.request, payload, seq), port + 1, '127.0.0.1', () => undefined);
}

function echoRequest(type: number, payload: Buffer, seq: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(type, 0);
  header.writeUInt16BE(ID, 4);
  header.writeUInt16BE(seq & 0xffff, 6);
  const message = Buffer.concat([header, payload]);
  // The kernel does it for ICMPv6, over what this was.
  message.writeUInt16BE(checksum(message), 2);
  return message;
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (const [index, byte] of bytes.entries()) {
    sum += index % 2 === 0 ? byte << 8 : byte;
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff;
}
