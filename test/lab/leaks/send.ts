import { createSocket } from 'node:dgram';
import { appendFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { createPing } from './ping.ts';
import { parsePayload, payloadOf, type StreamSpec } from './traffic.ts';

/**
 * In a client pod: sends the streams until it is ended. `node send.js <log> <specs as JSON>`. The log has a line for each message,
 * `s <stream> <seq> <ms>` when it was sent and `r <stream> <seq> <ms>` when its echo came.
 */
const [log = '', json = '[]'] = process.argv.slice(2);
const FLUSH_MS = 100;
/** A sender that stands still for a moment loses nothing. */
const BUFFER_BYTES = 4_000_000;
/** A connection without an answer for this long is opened anew. */
const STALLED_MS = 5_000;
const STOOD_STILL_MS = 1_000;

let lines = '';
const note = (what: 's' | 'r', name: string, seq: number): void => {
  lines += `${what} ${name} ${seq} ${Date.now()}\n`;
};
setInterval(() => {
  if (lines !== '') {
    appendFileSync(log, lines);
    lines = '';
  }
}, FLUSH_MS);

const STREAMS = { udp: streamUdp, tcp: streamTcp, icmp: streamIcmp } as const;
for (const spec of JSON.parse(json) as StreamSpec[]) {
  STREAMS[spec.kind](spec);
}

function received(text: string): void {
  const message = parsePayload(text);
  if (message !== undefined) {
    note('r', message.name, message.seq);
  }
}

function streamUdp(spec: StreamSpec): void {
  const socket = createSocket({
    type: spec.address.includes(':') ? 'udp6' : 'udp4',
    recvBufferSize: BUFFER_BYTES,
  });
  // What comes from elsewhere is no answer: conntrack has forgotten the ClusterIP that was asked.
  socket.on('message', (data, { address }) => {
    if (address === spec.address) {
      received(data.toString('latin1', 0, 200));
    }
  });
  socket.on('error', () => undefined);
  socket.bind(spec.sourcePort ?? 0);
  keepSending(spec, (payload) => socket.send(payload, spec.port, spec.address, () => undefined));
}

/** Echo requests, which the server's kernel answers. */
function streamIcmp(spec: StreamSpec): void {
  createPing(spec.address, (payload) => received(payload.toString('latin1'))).then(
    (ping) => keepSending(spec, ping),
    (error: Error) => process.stderr.write(`${error.message}\n`),
  );
}

/** A timer that comes late makes up for it. */
function keepSending(spec: StreamSpec, send: (payload: Buffer, seq: number) => void): void {
  const started = performance.now();
  let seq = 0;
  setInterval(
    () => {
      const due = Math.floor((performance.now() - started) / spec.everyMs);
      for (; seq < due; seq += 1) {
        note('s', spec.name, seq + 1);
        send(payloadOf(spec, seq + 1), seq + 1);
      }
    },
    Math.max(spec.everyMs, 10),
  );
}

/** One connection, opened anew when it breaks or stalls. What was sent through it and not answered is lost. */
function streamTcp(spec: StreamSpec): void {
  let seq = 0;
  let answered = Date.now();
  let current: Socket | undefined;
  const open = (): void => {
    const socket = connect(spec.port, spec.address);
    let rest = '';
    answered = Date.now();
    current = socket;
    socket.setNoDelay(true);
    socket.on('data', (data) => {
      answered = Date.now();
      const parts = (rest + data.toString('latin1')).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) {
        received(line);
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => setTimeout(open, 200));
  };
  open();
  let ticked = Date.now();
  setInterval(() => {
    // A sender that stood still itself has missed no answer.
    if (Date.now() - ticked > STOOD_STILL_MS) {
      answered = Date.now();
    }
    ticked = Date.now();
    if (Date.now() - answered > STALLED_MS) {
      current?.destroy();
    }
    if (current?.readyState === 'open') {
      seq += 1;
      note('s', spec.name, seq);
      current.write(Buffer.concat([payloadOf(spec, seq), Buffer.from('\n')]));
    }
  }, spec.everyMs);
}
