/**
 * The room `ipsec/vici` is a client of VICI, charon's control protocol (README.vici of strongSwan): messages
 * (`message`, `encode`, `decode`), packets and frames (`packet`, `frame`), a connection over a UNIX socket,
 * and this session, which sends one command at a time. It knows the protocol but no command of charon: those
 * are in `ipsec/charon`. It imports nothing of the project.
 */

import { openConnection, type ViciConnection } from './connection.ts';
import { ViciError } from './error.ts';
import type { ViciMessage } from './message.ts';
import type { ClientPacket, ServerPacket } from './packet.ts';
import { limit, type WaitOptions, withSignal } from './wait.ts';

export type ViciListener = (message: ViciMessage) => void;

export interface ViciSession {
  /**
   * Sends one command, after all commands that were asked for before it. @throws ViciError; `refused` with
   * charon's errmsg if the reply says `success = no`
   */
  request(command: string, message?: ViciMessage, options?: WaitOptions): Promise<ViciMessage>;
  /**
   * Sends a command that answers in events (`list-sas` in `list-sa`) and resolves to them. @throws ViciError
   * as `request`
   */
  stream(
    command: string,
    event: string,
    message?: ViciMessage,
    options?: WaitOptions,
  ): Promise<readonly ViciMessage[]>;
  /**
   * Subscribes to an event that charon sends of its own accord; resolves to a function that ends the
   * subscription. A listener that throws ends the session.
   */
  on(event: string, listener: ViciListener, options?: WaitOptions): Promise<() => Promise<void>>;
  /**
   * Resolves to the reason when the session has ended. All requests that waited were rejected with that
   * reason.
   */
  readonly closed: Promise<ViciError>;
  close(): void;
}

export interface ConnectOptions {
  /** charon's socket: `/run/charon.vici`. */
  readonly path: string;
  /** Time limit for connecting, and for every command that gives none; 10 s by default. */
  readonly timeoutMs?: number;
  /** Ends the session. */
  readonly signal?: AbortSignal;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** @throws ViciError `unreachable`, `timeout`, `aborted` */
export async function connectVici(options: ConnectOptions): Promise<ViciSession> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const signal = limit(options, timeoutMs);
  const session = new Session(timeoutMs);
  const opening = openConnection(options.path, (packet) => session.receive(packet));
  try {
    session.attach(await withSignal(opening, signal, `connecting to ${options.path}`), options.signal);
  } catch (error) {
    opening.then(
      (late) => late.close(),
      () => undefined,
    );
    throw error;
  }
  return session;
}

class Session implements ViciSession {
  readonly #listeners = new Map<string, Set<ViciListener>>();
  readonly #timeoutMs: number;
  readonly #ended = Promise.withResolvers<ViciError>();
  #connection: ViciConnection | undefined;
  #reason: ViciError | undefined;
  /** The reply that is waited for. VICI has no sequence numbers, so there is one exchange at a time. */
  #reply: PromiseWithResolvers<ServerPacket> | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  readonly closed: Promise<ViciError> = this.#ended.promise;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  attach(connection: ViciConnection, signal: AbortSignal | undefined): void {
    const close = (): void => connection.close();
    this.#connection = connection;
    signal?.addEventListener('abort', close, { once: true });
    void connection.closed.then((reason) => {
      signal?.removeEventListener('abort', close);
      this.#reason = reason;
      this.#reply?.reject(reason);
      this.#ended.resolve(reason);
    });
  }

  request(command: string, message: ViciMessage = {}, options: WaitOptions = {}): Promise<ViciMessage> {
    return this.#inTurn(command, options, () => this.#command(command, message));
  }

  stream(
    command: string,
    event: string,
    message: ViciMessage = {},
    options: WaitOptions = {},
  ): Promise<readonly ViciMessage[]> {
    return this.#inTurn(command, options, async () => {
      const messages: ViciMessage[] = [];
      const listener = (one: ViciMessage): void => void messages.push(one);
      await this.#subscribe(event, listener);
      try {
        await this.#command(command, message);
      } finally {
        await this.#unsubscribe(event, listener);
      }
      return messages;
    });
  }

  async on(event: string, listener: ViciListener, options: WaitOptions = {}): Promise<() => Promise<void>> {
    await this.#inTurn(event, options, () => this.#subscribe(event, listener));
    return () => this.#inTurn(event, {}, () => this.#unsubscribe(event, listener));
  }

  close(): void {
    this.#connection?.close();
  }

  receive(packet: ServerPacket): void {
    if (packet.type === 'event') {
      for (const listener of this.#listeners.get(packet.name) ?? []) {
        listener(packet.message);
      }
      return;
    }
    if (this.#reply === undefined) {
      throw new ViciError('malformed', `charon sent a ${packet.type} that nothing asked for`);
    }
    this.#reply.resolve(packet);
    this.#reply = undefined;
  }

  /**
   * Runs work after all work that was asked for before. Work that has begun runs to its end even when its
   * caller no longer waits, so that a late reply is never taken for the reply to the next command. Work whose
   * caller gave up before its turn is not sent at all.
   */
  #inTurn<T>(what: string, options: WaitOptions, work: () => Promise<T>): Promise<T> {
    const signal = limit(options, this.#timeoutMs);
    const result = this.#tail.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#tail = result.catch(() => undefined);
    return withSignal(result, signal, what);
  }

  async #command(name: string, message: ViciMessage): Promise<ViciMessage> {
    const reply = await this.#exchange({ type: 'request', name, message }, 'response');
    if (reply.type !== 'response') {
      throw new ViciError('unknown', `charon knows no command ${name}`);
    }
    if (reply.message.success === 'no') {
      throw new ViciError(
        'refused',
        `${name}: ${String(reply.message.errmsg ?? 'refused without a reason')}`,
      );
    }
    return reply.message;
  }

  async #subscribe(event: string, listener: ViciListener): Promise<void> {
    const listeners = this.#listeners.get(event);
    if (listeners !== undefined) {
      listeners.add(listener);
      return;
    }
    this.#listeners.set(event, new Set([listener]));
    const reply = await this.#exchange({ type: 'register', name: event }, 'confirm');
    if (reply.type !== 'confirm') {
      this.#listeners.delete(event);
      throw new ViciError('unknown', `charon knows no event ${event}`);
    }
  }

  async #unsubscribe(event: string, listener: ViciListener): Promise<void> {
    const listeners = this.#listeners.get(event);
    if (listeners?.delete(listener) && listeners.size === 0) {
      this.#listeners.delete(event);
      await this.#exchange({ type: 'unregister', name: event }, 'confirm');
    }
  }

  async #exchange(packet: ClientPacket, wanted: ServerPacket['type']): Promise<ServerPacket> {
    if (this.#connection === undefined || this.#reason !== undefined) {
      throw this.#reason ?? new ViciError('closed', 'not connected');
    }
    this.#connection.send(packet);
    this.#reply = Promise.withResolvers<ServerPacket>();
    const reply = await this.#reply.promise;
    const refusal = wanted === 'response' ? 'unknown-command' : 'unknown-event';
    if (reply.type !== wanted && reply.type !== refusal) {
      const error = new ViciError('malformed', `${packet.name}: charon answered with a ${reply.type}`);
      this.#connection.close(error);
      throw error;
    }
    return reply;
  }
}
