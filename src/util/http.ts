import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Registry } from 'prom-client';

export interface HttpOptions {
  /** `<address>:<port>`, or `:<port>` for every address. */
  readonly listen: string;
  readonly registry: Registry;
  /** Empty if all is well, otherwise a message that says what is wrong. */
  readonly health: () => string;
  /** As `health`, for `/readyz`. */
  readonly readiness: () => string;
  /** Told why the address cannot be taken, once for each reason; empty once it is taken. */
  readonly onProblem: (problem: string) => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** What a client may take: it asks for three short pages, and nothing else. Times are in milliseconds. */
const LIMITS = {
  maxHeaderSize: 8_192,
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
} as const;
/** A connection on which nothing moves for this long is closed: who reads an answer slowly is no scraper. */
const IDLE_MS = 10_000;
/** With more, the oldest is closed: who opens many keeps nobody else out. */
const MOST_CONNECTIONS = 64;
/** How long the same metrics are given to everybody. */
const METRICS_MS = 1_000;
/** How long until an address that is taken is tried again: at first, and at most. */
const FIRST_MS = 1_000;
const LATEST_MS = 30_000;

/**
 * Serves `/metrics`, `/healthz` and `/readyz` until the signal aborts. Returns at once: an address that
 * somebody else has taken is tried again until it is free, and keeps nobody from anything else. Throws if
 * `listen` is malformed.
 */
export function serveHttp(options: HttpOptions, signal: AbortSignal): void {
  const { listen } = options;
  const at = listen.lastIndexOf(':');
  const [host, port] = [listen.slice(0, at).replace(/^\[|\]$/g, ''), Number(listen.slice(at + 1))];
  if (at < 0 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`--listen: "${listen}" is not <address>:<port>`);
  }
  const where = { port, ...(host === '' ? {} : { host }) };
  void keepServing(options, where, signal);
}

async function keepServing(
  options: HttpOptions,
  where: { readonly port: number; readonly host?: string },
  signal: AbortSignal,
): Promise<void> {
  const { listen, onProblem, sleep } = options;
  let said = '';
  const say = (problem: string): void => {
    if (problem !== said) {
      said = problem;
      onProblem(problem);
    }
  };
  for (let pauseMs = FIRST_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LATEST_MS)) {
    const server = createHttp(options);
    const problem = await new Promise<string>((resolve) => {
      server.once('error', (error) => resolve(`--listen ${listen}: ${error.message}`));
      server.listen(where, () => resolve(''));
    });
    say(problem);
    if (problem === '') {
      server.on('error', () => undefined);
      const stop = (): void => {
        server.close();
        server.closeAllConnections();
      };
      signal.addEventListener('abort', stop);
      if (signal.aborted) {
        stop();
      }
      return;
    }
    await sleep(pauseMs, signal);
  }
}

function createHttp({ registry, health, readiness }: HttpOptions): Server {
  let metrics: { readonly text: Promise<string>; readonly at: number } | undefined;
  const metricsNow = (): Promise<string> => {
    const now = performance.now();
    if (metrics === undefined || now - metrics.at > METRICS_MS) {
      metrics = { text: registry.metrics(), at: now };
    }
    return metrics.text;
  };
  const server = createServer(LIMITS, (request, response) => {
    const say = (problem: string): void => {
      response.writeHead(problem === '' ? 200 : 503, { 'Content-Type': 'text/plain' });
      response.end(`${problem === '' ? 'ok' : problem}\n`);
    };
    switch (request.method === 'GET' ? request.url : '') {
      case '/healthz':
        return say(health());
      case '/readyz':
        return say(readiness());
      case '/metrics':
        metricsNow().then(
          (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
          (error: Error) => say(error.message),
        );
        return;
      default:
        response.writeHead(404, { Connection: 'close' }).end();
    }
  });
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    const [oldest] = open.size > MOST_CONNECTIONS ? open : [];
    oldest?.destroy();
  });
  server.setTimeout(IDLE_MS);
  return server;
}
