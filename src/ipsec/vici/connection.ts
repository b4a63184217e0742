import { createConnection, type Socket } from 'node:net';
import { ViciError } from './error.ts';
import { encodeFrame, FrameReader } from './frame.ts';
import { type ClientPacket, decodePacket, encodePacket, type ServerPacket } from './packet.ts';

/** A connection that sends and receives packets over a UNIX socket. */
export interface ViciConnection {
  /** @throws ViciError `too-long`; the connection stays usable */
  send(packet: ClientPacket): void;
  /** Resolves to the reason when the connection has ended, whoever ended it; never rejects. */
  readonly closed: Promise<ViciError>;
  /** Ends the connection. Without a reason, `closed` resolves to one that says that we closed it. */
  close(reason?: ViciError): void;
}

/**
 * Connects to charon's socket. `onPacket` gets every packet, in order. The connection ends if `onPacket`
 * throws, or if a packet breaks the protocol.
 *
 * @throws ViciError `unreachable`
 */
export async function openConnection(
  path: string,
  onPacket: (packet: ServerPacket) => void,
): Promise<ViciConnection> {
  const socket = await connect(path);
  const { promise: closed, resolve } = Promise.withResolvers<ViciError>();
  const end = (reason: ViciError): void => {
    resolve(reason);
    socket.destroy();
  };
  const frames = new FrameReader();
  socket.on('data', (piece) => {
    try {
      for (const packet of frames.push(piece)) {
        onPacket(decodePacket(packet));
      }
    } catch (error) {
      end(error instanceof ViciError ? error : new ViciError('closed', String(error), { cause: error }));
    }
  });
  socket.on('error', (cause) => end(new ViciError('closed', `charon's socket: ${cause.message}`, { cause })));
  socket.on('close', () => end(new ViciError('closed', 'charon closed the connection')));
  return {
    send: (packet) => void socket.write(encodeFrame(encodePacket(packet))),
    closed,
    close: (reason) => end(reason ?? new ViciError('closed', 'session closed')),
  };
}

async function connect(path: string): Promise<Socket> {
  const socket = createConnection({ path });
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  socket.once('connect', () => resolve(socket));
  socket.once('error', (cause) =>
    reject(new ViciError('unreachable', `charon is not reachable at ${path}: ${cause.message}`, { cause })),
  );
  return promise;
}
