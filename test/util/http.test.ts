import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Registry } from 'prom-client';
import { serveHttp } from '../../src/util/http.ts';
import { until } from '../helpers/unit/until.ts';

/** A port of 127.0.0.1 that nobody listens on, and a server that takes it. */
async function taken() {
  const squatter = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  const { port } = squatter.address() as AddressInfo;
  const free = async (): Promise<void> => {
    squatter.close();
    await once(squatter, 'close');
  };
  return { port, free };
}

function serve(t: ExecutionContext, port: number) {
  const abort = new AbortController();
  t.teardown(() => abort.abort());
  const problems: string[] = [];
  const pauses: number[] = [];
  serveHttp(
    {
      listen: `127.0.0.1:${port}`,
      registry: new Registry(),
      health: () => '',
      readiness: () => 'not yet',
      onProblem: (problem) => void problems.push(problem),
      sleep: async (ms) => {
        pauses.push(ms);
        await sleep(10);
      },
    },
    abort.signal,
  );
  return { problems, pauses, url: `http://127.0.0.1:${port}` };
}

test('an address that somebody has taken is said once, tried again, and taken when it is free', async (t) => {
  const { port, free } = await taken();
  const { problems, pauses, url } = serve(t, port);
  await until('', () => pauses.length >= 7);
  t.is(problems.length, 1);
  t.regex(problems[0] ?? '', new RegExp(`^--listen 127.0.0.1:${port}: .*EADDRINUSE`));
  t.deepEqual(pauses.slice(0, 7), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  await free();
  await until('', () => problems.at(-1) === '');
  const { status } = await fetch(`${url}/healthz`);
  t.is(status, 200);
  t.is((await fetch(`${url}/readyz`)).status, 503);
  t.is((await fetch(`${url}/metrics`)).status, 200);
  t.is((await fetch(`${url}/other`)).status, 404);
});

test('a malformed address is an error', (t) => {
  for (const listen of ['9472', '127.0.0.1:x', '127.0.0.1:70000']) {
    t.throws(
      () =>
        serveHttp(
          {
            listen,
            registry: new Registry(),
            health: () => '',
            readiness: () => '',
            onProblem: () => undefined,
            sleep: async () => undefined,
          },
          new AbortController().signal,
        ),
      { message: /is not <address>:<port>/ },
    );
  }
});

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

test('connections without end, headers without end and slow ones keep nobody else out', async (t) => {
  const { port, free } = await taken();
  await free();
  const { problems, url } = serve(t, port);
  await until('', () => problems.at(-1) === '' || problems.length === 0);
  await sleep(100);
  const silent = await Promise.all(Array.from({ length: 300 }, () => open(port)));
  t.teardown(() => silent.forEach((socket) => void socket.destroy()));
  t.is((await fetch(`${url}/healthz`)).status, 200);
  await until('', () => silent.filter((socket) => socket.destroyed || socket.readableEnded).length >= 230);

  const huge = await open(port);
  let answer = '';
  huge.setEncoding('utf8').on('data', (text) => {
    answer += text;
  });
  huge.write(`GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}`);
  await once(huge, 'close');
  t.regex(answer, /^HTTP\/1\.1 431/);

  const slowly = async (head: string, drop: string): Promise<number> => {
    const socket = await open(port);
    socket.resume();
    const began = performance.now();
    socket.write(`GET /healthz HTTP/1.1\r\nHost: x\r\n${head}`);
    const drip = setInterval(() => socket.write(drop), 500);
    t.teardown(() => {
      clearInterval(drip);
      socket.destroy();
    });
    await once(socket, 'close');
    clearInterval(drip);
    return performance.now() - began;
  };
  const lasted = Promise.all([slowly('', 'X: y\r\n'), slowly('Content-Length: 1000\r\n\r\n', 'x')]);
  for (const ms of await Promise.race([lasted, sleep(20_000, [20_000])])) {
    t.true(ms < 15_000, `${ms}`);
  }
});
