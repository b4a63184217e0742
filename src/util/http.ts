import { createServer } from 'node:http';
import type { Registry } from 'prom-client';

export interface HttpOptions {
  /** `<address>:<port>`, or `:<port>` for every address. */
  readonly listen: string;
  readonly registry: Registry;
  /** Empty if all is well, otherwise a message that says what is wrong. */
  readonly health: () => string;
  /** As `health`, for `/readyz`. */
  readonly readiness: () => string;
}

/**
 * Serves `/metrics`, `/healthz` and `/readyz` until the signal aborts. Rejects if `listen` is malformed or
 * the address cannot be taken.
 */
export async function serveHttp(options: HttpOptions, signal: AbortSignal): Promise<void> {
  const { listen, registry, health, readiness } = options;
  const at = listen.lastIndexOf(':');
  const [host, port] = [listen.slice(0, at).replace(/^\[|\]$/g, ''), Number(listen.slice(at + 1))];
  if (at < 0 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`--listen: "${listen}" is not <address>:<port>`);
  }
  const server = createServer((request, response) => {
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
        registry.metrics().then(
          (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
          (error: Error) => say(error.message),
        );
        return;
      default:
        response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, ...(host === '' ? {} : { host }) }, () => resolve());
  });
  signal.addEventListener('abort', () => {
    server.close();
    server.closeAllConnections();
  });
}
