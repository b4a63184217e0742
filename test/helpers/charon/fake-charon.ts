import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { decodeMessage } from '../../../src/ipsec/vici/decode.ts';
import { encodeFrame, FrameReader } from '../../../src/ipsec/vici/frame.ts';
import type { ViciMessage } from '../../../src/ipsec/vici/message.ts';
import { encodePacket, type ServerPacket } from '../../../src/ipsec/vici/packet.ts';

/** One accepted client of the fake: what it sent, and what it is sent. */
export interface FakeClient {
  readonly send: (packet: ServerPacket) => void;
  readonly sendBytes: (bytes: Uint8Array) => void;
  readonly die: () => void;
}

export interface FakeCharon {
  readonly path: string;
  /** `<packet type>:<name>` of everything received. */
  readonly received: readonly string[];
}

export type FakeScript = (
  packet: { type: number; name: string; message: ViciMessage },
  client: FakeClient,
) => void;

/** A server on a socket of its own that answers as the script says; gone when the test ends. */
export async function fakeCharon(t: ExecutionContext, script: FakeScript): Promise<FakeCharon> {
  const dir = mkdtempSync(join(tmpdir(), 'vici-'));
  const path = join(dir, 'vici');
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    const frames = new FrameReader();
    const client: FakeClient = {
      send: (packet) => void socket.write(encodeFrame(encodePacket(packet))),
      sendBytes: (bytes) => void socket.write(bytes),
      die: () => void socket.destroy(),
    };
    socket.on('data', (piece) => {
      for (const packet of frames.push(piece)) {
        const [type = 0, length = 0] = packet;
        const name = Buffer.from(packet.subarray(2, 2 + length)).toString();
        received.push(`${type}:${name}`);
        script({ type, name, message: decodeMessage(packet, 2 + length) }, client);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { path, received };
}
