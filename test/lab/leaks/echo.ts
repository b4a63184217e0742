import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * In a server pod: answers every datagram and every line with itself, and says who asked. `node echo.js udp/53 tcp/53 …`
 * stdout: `<protocol>/<port> <address>` for each address that it has not seen yet at that port.
 */
const seen = new Set<string>();
const note = (port: string, address: string | undefined): void => {
  const line = `${port} ${address?.replace('::ffff:', '') ?? ''}`;
  if (!seen.has(line)) {
    seen.add(line);
    process.stdout.write(`${line}\n`);
  }
};

for (const word of process.argv.slice(2)) {
  const [proto, number] = word.split('/');
  const port = Number(number);
  if (proto === 'udp') {
    const socket = createSocket({ type: 'udp6', recvBufferSize: 4_000_000 });
    socket.on('message', (data, from) => {
      note(word, from.address);
      socket.send(data, from.port, from.address, () => undefined);
    });
    socket.on('error', () => undefined);
    socket.bind(port, '::');
  } else {
    createServer((connection) => {
      note(word, connection.remoteAddress);
      connection.on('error', () => connection.destroy());
      connection.pipe(connection);
    }).listen(port, '::');
  }
}
