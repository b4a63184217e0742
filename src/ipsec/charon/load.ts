import { isDeepStrictEqual } from 'node:util';
import type { ConnectionConfig } from '../plan/types.ts';
import { ViciError } from '../vici/error.ts';
import type { ViciMessage } from '../vici/message.ts';
import type { ViciSession } from '../vici/session.ts';
import { connectionNames, listConnections, listSas } from './query.ts';
import { type Generation, IKE_REKEY_S, renderConnection, type Terms } from './render.ts';
import type { LoadedConnection } from './replies.ts';

/**
 * What one session remembers of its charon. A new session remembers nothing and loads everything; charon does
 * not take that for a change.
 */
export interface Memory {
  /** The connections that this session loaded, by name. */
  readonly loaded: Map<string, { readonly config: ConnectionConfig; readonly rendering: ViciMessage }>;
  /**
   * Unique ids of stale IKE_SAs, which run with a replaced configuration. charon would never find new
   * children through them.
   */
  readonly stale: Set<number>;
  /** Generation of each connection, by name; 0 if a name is missing. */
  readonly generations: Map<string, Generation>;
  /** Stale IKE_SAs are being replaced: each ends once its successor is up, and `prune` leaves them alone. */
  renewing: boolean;
}

export function emptyMemory(): Memory {
  return { loaded: new Map(), stale: new Set(), generations: new Map(), renewing: false };
}

export interface LoadOptions {
  readonly session: ViciSession;
  readonly memory: Memory;
  readonly terms: Terms;
}

/**
 * Loads the connections that charon does not have in this form, and resolves to their names. One that charon
 * refuses, or that does not fit into a packet, keeps none of the others from being loaded.
 *
 * @throws ViciError why the first of those was not loaded, once all others are
 */
export async function load(
  connections: readonly ConnectionConfig[],
  { session, memory, terms }: LoadOptions,
): Promise<string[]> {
  const present = new Set(await connectionNames(session));
  const unknown = connections.some(({ name }) => present.has(name) && !memory.loaded.has(name));
  const listed = unknown ? await listConnections(session) : [];
  for (const { name, rekey_time } of listed) {
    if (!memory.loaded.has(name) && rekey_time === IKE_REKEY_S[1]) {
      memory.generations.set(name, 1);
    }
  }
  const changed = connections
    .map((config) => ({ config, rendering: renderOnce(config, terms, memory.generations.get(config.name)) }))
    .filter(
      ({ config, rendering }) =>
        !present.has(config.name) || !isDeepStrictEqual(memory.loaded.get(config.name)?.rendering, rendering),
    );
  const refused: ViciError[] = [];
  for (const { config, rendering } of changed) {
    const before = memory.loaded.get(config.name);
    const replaces =
      before === undefined
        ? listed.some((one) => one.name === config.name && !sameIke(one, config))
        : !isDeepStrictEqual(ikePart(before.rendering), ikePart(rendering));
    for (const sa of replaces ? await listSas(session, config.name) : []) {
      memory.stale.add(sa.uniqueId);
    }
    memory.loaded.delete(config.name);
    try {
      await session.request('load-conn', { [config.name]: rendering });
      memory.loaded.set(config.name, { config, rendering });
    } catch (error) {
      if (!(error instanceof ViciError && (error.reason === 'refused' || error.reason === 'too-long'))) {
        throw error;
      }
      refused.push(named(error, config));
    }
  }
  const [first] = refused;
  if (first !== undefined) {
    throw first;
  }
  return changed.map(({ config }) => config.name);
}

/** The same error, with the connection that it is about. */
function named({ reason, message }: ViciError, { name, children }: ConnectionConfig): ViciError {
  const text = reason === 'too-long' ? `load-conn: ${message}` : message;
  return new ViciError(reason, `${text} (${name}, ${children.length} children)`);
}

interface Rendered {
  readonly terms: Terms;
  readonly generation: Generation | undefined;
  readonly message: ViciMessage;
}

const rendered = new WeakMap<ConnectionConfig, Rendered>();

/** As `renderConnection`, but returns the same message again for the same object. */
function renderOnce(config: ConnectionConfig, terms: Terms, generation: Generation | undefined): ViciMessage {
  const before = rendered.get(config);
  const same =
    before?.generation === generation &&
    before?.terms.profile === terms.profile &&
    before.terms.certificate === terms.certificate;
  const message = same ? before.message : renderConnection(config, terms, generation);
  rendered.set(config, { terms, generation, message });
  return message;
}

/** The part of a connection that charon cannot change without taking the connection for another one. */
function ikePart({ children: _children, ...ike }: ViciMessage): ViciMessage {
  return ike;
}

/** Whether a listed connection has the same IKE part, as far as charon tells: it does not list proposals. */
function sameIke(listed: LoadedConnection, config: ConnectionConfig): boolean {
  return (
    isDeepStrictEqual(listed.local_addrs, config.localAddrs) &&
    isDeepStrictEqual(listed.remote_addrs, config.remoteAddrs)
  );
}
