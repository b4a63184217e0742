import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ConnectionConfig } from '../plan/types.ts';
import { ViciError } from '../vici/error.ts';
import type { ViciMessage } from '../vici/message.ts';
import type { ViciSession } from '../vici/session.ts';
import { connectionNames, listConnections, listSas } from './query.ts';
import { type Generation, IKE_REKEY_S, renderConnection, type Terms } from './render.ts';
import type { LoadedConnection } from './replies.ts';

/**
 * Stands for a message that was sent: with many peers and children the messages themselves would fill the
 * memory. `ike`: for the part of it that a running IKE_SA keeps.
 */
interface Digest {
  readonly ike: string;
  readonly all: string;
}

/**
 * What one session remembers of its charon. A new session remembers nothing and loads everything; charon does
 * not take that for a change.
 */
export interface Memory {
  /** The connections that this session loaded, by name. */
  readonly loaded: Map<string, Digest>;
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
    .map((config) => ({ config, digest: digestOnce(config, terms, memory.generations.get(config.name)) }))
    .filter(
      ({ config: { name }, digest }) => !present.has(name) || memory.loaded.get(name)?.all !== digest.all,
    );
  const refused: ViciError[] = [];
  for (const { config, digest } of changed) {
    const before = memory.loaded.get(config.name);
    const replaces =
      before === undefined
        ? listed.some((one) => one.name === config.name && !sameIke(one, config))
        : before.ike !== digest.ike;
    for (const sa of replaces ? await listSas(session, config.name) : []) {
      memory.stale.add(sa.uniqueId);
    }
    memory.loaded.delete(config.name);
    try {
      const rendering = renderConnection(config, terms, memory.generations.get(config.name));
      await session.request('load-conn', { [config.name]: rendering });
      memory.loaded.set(config.name, digest);
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

interface Digested {
  readonly terms: Terms;
  readonly generation: Generation | undefined;
  readonly digest: Digest;
}

const digested = new WeakMap<ConnectionConfig, Digested>();

/** The digest of a connection's message. It is made once for the same object. */
function digestOnce(config: ConnectionConfig, terms: Terms, generation: Generation | undefined): Digest {
  const before = digested.get(config);
  const same =
    before?.generation === generation &&
    before?.terms.profile === terms.profile &&
    before.terms.certificate === terms.certificate;
  const digest = same ? before.digest : digestOf(renderConnection(config, terms, generation));
  digested.set(config, { terms, generation, digest });
  return digest;
}

/** charon cannot change what is not a child without taking the connection for another one. */
function digestOf(message: ViciMessage): Digest {
  const { children: _children, ...ike } = message;
  return { ike: hash('sha256', JSON.stringify(ike)), all: hash('sha256', JSON.stringify(message)) };
}

/** Whether a listed connection has the same IKE part, as far as charon tells: it does not list proposals. */
function sameIke(listed: LoadedConnection, config: ConnectionConfig): boolean {
  return (
    isDeepStrictEqual(listed.local_addrs, config.localAddrs) &&
    isDeepStrictEqual(listed.remote_addrs, config.remoteAddrs)
  );
}
