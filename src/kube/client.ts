/**
 * Speaking to the API server: requests and watches (here), and lists that follow it (`reflector.ts`). The
 * room knows HTTP, kubeconfigs and the protocol of list and watch, and nothing of Trapline's kinds: whoever
 * reads an object passes the function that parses it. It imports no other room.
 */

import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { type HttpMethod, RequestContext } from '@kubernetes/client-node/dist/gen/http/http.js';
import { type Dispatcher, fetch } from 'undici';
import * as z from 'zod';
import { KubeError } from './error.ts';

export interface KubeRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the root of the API server: `/api/v1/nodes`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Media type of the body; JSON if absent. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** Told how many characters the answer has. */
  readonly onSize?: (size: number) => void;
}

/** One line of a watch. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: unknown;
}

/**
 * What Trapline asks of an API server. Objects are plain JSON: whoever reads one parses the fields that it
 * needs.
 */
export interface KubeClient {
  /** Throws KubeError. */
  request(request: KubeRequest): Promise<unknown>;
  /**
   * Yields the events of a watch in order, until the server, the signal or a long silence ends it; the caller
   * then goes on with another watch. `onOpen` is called when the server has accepted the watch. Throws
   * KubeError.
   */
  watch(request: KubeRequest, onOpen: () => void): AsyncIterable<WatchEvent>;
}

/** Applied as it is, whoever owns the fields: all that a field manager sets is in it. */
export const APPLY_PATCH = 'application/apply-patch+yaml';
export const MERGE_PATCH = 'application/merge-patch+json';

const REQUEST_MS = 15_000;
/**
 * A server answers a watch at once, whether there are events or not. A server that is still coming up may
 * accept the connection and say nothing: that counts as no answer after this time.
 */
const OPEN_MS = 10_000;
/**
 * A watch without an event or a bookmark for this long may be dead. Bookmarks come about every minute, but a
 * server sends none for a kind of which it has seen no event since it began.
 */
const SILENCE_MS = 150_000;

/**
 * The kubeconfig of a named file; else `KUBECONFIG` or `~/.kube/config`, or in a pod its ServiceAccount.
 * Throws what client-node throws.
 */
export function loadKubeConfig(file: string | undefined): KubeConfig {
  const config = new KubeConfig();
  if (file === undefined) {
    config.loadFromDefault();
  } else {
    config.loadFromFile(file);
  }
  return config;
}

const statusSchema = z.object({
  reason: z.string().catch(''),
  message: z.string().catch(''),
  code: z.number().catch(0),
});
const eventSchema = z.object({ type: z.string(), object: z.unknown() });

/**
 * A client for the current context of a kubeconfig. Credentials are left to client-node: tokens are read
 * anew, exec plugins are run. Paths and JSON are sent as they are, without its generated API, which would
 * keep every object twice.
 */
export function createKubeClient(config: KubeConfig, { silenceMs = SILENCE_MS } = {}): KubeClient {
  const send = async (request: KubeRequest, signal: AbortSignal) => {
    const { method = 'GET', path, query = {}, body, contentType = 'application/json' } = request;
    const server = config.getCurrentCluster()?.server;
    if (server === undefined) {
      throw new KubeError(0, '', 'the kubeconfig names no cluster');
    }
    const url = `${server.replace(/\/$/, '')}${path}?${new URLSearchParams(query)}`;
    const context = new RequestContext(url, method as HttpMethod);
    try {
      await config.applySecurityAuthentication(context);
      const response = await fetch(url, {
        method,
        headers: {
          ...context.getHeaders(),
          Accept: 'application/json',
          ...(body === undefined ? {} : { 'Content-Type': contentType }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        dispatcher: context.getDispatcher() as unknown as Dispatcher,
        signal,
      });
      if (!response.ok) {
        throw refused(response.status, `${method} ${path}`, await response.text());
      }
      return response;
    } catch (error) {
      throw error instanceof KubeError ? error : unreachable(server, error);
    }
  };
  return {
    async request(request) {
      const timeout = AbortSignal.timeout(REQUEST_MS);
      const { signal } = request;
      const response = await send(
        request,
        signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      );
      try {
        const text = await response.text();
        request.onSize?.(text.length);
        return JSON.parse(text) as unknown;
      } catch (error) {
        throw unreachable(request.path, error);
      }
    },
    async *watch(request, onOpen) {
      const silence = new AbortController();
      const { signal } = request;
      let silent = false;
      let alarm = setTimeout(() => silence.abort(new Error('no answer')), OPEN_MS);
      try {
        const either = signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]);
        const query = { ...request.query, watch: 'true', allowWatchBookmarks: 'true' };
        const response = await send({ ...request, query }, either);
        clearTimeout(alarm);
        alarm = setTimeout(() => {
          silent = true;
          silence.abort();
        }, silenceMs);
        onOpen();
        for await (const line of linesOf(response.body ?? [])) {
          alarm.refresh();
          yield parseEvent(line, request.path);
        }
      } catch (error) {
        if (signal?.aborted === true || silent) {
          return;
        }
        throw error instanceof KubeError ? error : unreachable(request.path, error);
      } finally {
        clearTimeout(alarm);
        silence.abort();
      }
    },
  };
}

/**
 * The lines of a stream. It uses the stream's own iterator: unlike that of readline, it rejects when the
 * connection breaks. What of a line has come is looked at once, however many pieces the line comes in.
 */
async function* linesOf(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let begun: string[] = [];
  for await (const piece of body) {
    const [first = '', ...others] = decoder.decode(piece, { stream: true }).split('\n');
    begun.push(first);
    const last = others.pop();
    if (last !== undefined) {
      const lines = [begun.join(''), ...others];
      begun = [last];
      yield* lines.filter((line) => line !== '');
    }
  }
}

function parseEvent(line: string, path: string): WatchEvent {
  const { type, object } = eventSchema.parse(JSON.parse(line));
  if (type === 'ERROR') {
    const { code, reason, message } = statusSchema.parse(object);
    throw new KubeError(code, reason, `watch of ${path}: ${message}`);
  }
  return { type: type as WatchEvent['type'], object };
}

function refused(status: number, what: string, text: string): KubeError {
  try {
    const { reason, message } = statusSchema.parse(JSON.parse(text));
    return new KubeError(status, reason, `${what}: ${message || `HTTP ${status}`}`);
  } catch {
    return new KubeError(status, '', `${what}: HTTP ${status} ${text.slice(0, 200)}`);
  }
}

function unreachable(what: string, error: unknown): KubeError {
  const { message, cause } = error as Error;
  const why = cause instanceof Error ? cause.message : message;
  return new KubeError(0, '', `${what}: ${why}`, { cause: error });
}
