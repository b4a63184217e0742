import { setTimeout } from 'node:timers/promises';
import { type Charon, createCharon } from '../ipsec/charon/charon.ts';
import { type Failure, failureIn } from '../ipsec/charon/failures.ts';
import { findGhosts } from '../ipsec/charon/ghosts.ts';
import { isAnnouncement, pinsFor } from '../ipsec/charon/pins.ts';
import type { Profile } from '../ipsec/charon/profile.ts';
import { replaceOrphans } from '../ipsec/charon/replace-orphans.ts';
import type { IkeSa } from '../ipsec/charon/replies.ts';
import { createStuckTraps } from '../ipsec/charon/stuck.ts';
import { assertSupported } from '../ipsec/charon/supported.ts';
import { CONNECTION_PREFIX } from '../ipsec/connections.ts';
import type { ConnectionConfig } from '../ipsec/types.ts';
import { connectVici } from '../ipsec/vici/session.ts';
import type { Iproute2 } from '../ipsec/xfrm/iproute2.ts';
import { deleteState, listStates } from '../ipsec/xfrm/kernel.ts';
import type { NodeIdentity } from '../pki/identity.ts';
import type { CharonSession } from './charon-link.ts';
import type { ChildRef } from './first-use.ts';
import { createPinning } from './pinning.ts';
import { renewChildren, renewStale } from './renewal.ts';

export interface CharonSessionOptions {
  /** charon's VICI socket. */
  readonly path: string;
  readonly profile: Profile;
  readonly iproute2: Iproute2;
  /** Seconds after which a CHILD_SA is replaced. */
  readonly rekeyAfterS: number;
  readonly readIdentity: () => Promise<NodeIdentity>;
  /** An SA went down: a trap may have come back that the plan has not. */
  readonly onDown: () => void;
  /** A negotiation failed, or one that had failed succeeded. */
  readonly onFailures: () => void;
  /** What policies are held to has changed. */
  readonly onPins: () => void;
  readonly onOrphans: (replaced: number) => void;
  readonly onError: (error: unknown) => void;
}

const CONNECT_MS = 5_000;
const INITIATE_MS = 15_000;
/** How often charon's SAs are looked for in the kernel. */
const GHOSTS_MS = 20_000;
/** How long a packet may be on its way. */
const IN_FLIGHT_MS = 2_000;
/** A node tells its boot before it negotiates: what is older than the news is from before. */
const SINCE_BOOT_S = 2;
/** Live traffic waits for the slowest of the children that it uses. */
const BRING_UP_MS = 5_000;
const AT_ONCE = 8;
/** A peer with which no new IKE_SA comes up keeps the old one, and is asked again. */
const RENEWAL_RETRY_MS = 30_000;
/** How often in the life of a CHILD_SA its age is looked at. */
const REKEY_LOOKS = 60;

/** Opens a session with charon and loads the node's identity into it. Throws ViciError, PkiError. */
export async function openCharonSession(
  options: CharonSessionOptions,
  signal: AbortSignal,
): Promise<CharonSession> {
  const session = await connectVici({ path: options.path, timeoutMs: CONNECT_MS, signal });
  try {
    const charon = createCharon(session, options.profile);
    assertSupported(options.profile, await charon.version());
    let identity = await options.readIdentity();
    await charon.loadIdentity(identity);
    const failures = new Map<string, Failure>();
    const traps = createStuckTraps();
    const pinning = createPinning(options.onPins);
    const inTurn = createQueue();
    let planned: readonly ConnectionConfig[] = [];
    let renewals = 0;
    const ended = new AbortController();
    const hold = (connection: string, applies: (sas: readonly IkeSa[]) => boolean): void => {
      charon
        .listSas()
        .then((sas) => (applies(sas) ? pinning.add(pinsFor(connection, sas)) : undefined))
        .catch(options.onError);
    };
    await charon.onIkeRekey(({ connection, initiator }) => {
      if (!initiator) {
        hold(connection, () => true);
      }
    });
    await charon.onUpdown(({ kind, up, sa }) => {
      for (const { reqid, spiOut } of sa.children) {
        traps.moved(reqid);
        if (!up) {
          pinning.wentDown(reqid, spiOut);
        } else if (kind === 'child') {
          pinning.cameUp(reqid);
        }
      }
      if (up && kind === 'ike') {
        hold(sa.connection, (sas) => isAnnouncement(sa.uniqueId, sas));
      }
      if (up && kind === 'child' && failures.delete(sa.connection)) {
        options.onFailures();
      } else if (!up) {
        options.onDown();
      }
    });
    await charon.onLog((message) => {
      const failure = failureIn(message);
      if (failure !== undefined && failures.get(failure.connection)?.reason !== failure.reason) {
        failures.set(failure.connection, failure);
        options.onFailures();
      }
      // With its IKE_SA, charon forgets what it waited for.
      const stuck = traps.note(String(message.msg ?? ''), performance.now());
      for (const { name, children } of stuck === undefined ? [] : planned) {
        if (children.some(({ reqid }) => reqid === stuck)) {
          charon.rekeyIke(name).catch(options.onError);
        }
      }
    });
    const renewal = {
      open: async () => {
        const own = await connectVici({ path: options.path, timeoutMs: CONNECT_MS, signal });
        return { charon: createCharon(own), close: () => void own.close() };
      },
      sleep: (ms: number) => setTimeout(ms),
      onError: options.onError,
    };
    const rekey = async (): Promise<void> => {
      // A thousand SAs that came up together are not replaced together.
      const afterS = options.rekeyAfterS * (0.9 + 0.1 * Math.random());
      while (!ended.signal.aborted) {
        await setTimeout((options.rekeyAfterS * 1_000) / REKEY_LOOKS, undefined, { signal: ended.signal });
        await renewChildren(charon, { connections: planned, afterS }, renewal);
      }
    };
    rekey().catch((error) => (ended.signal.aborted ? undefined : options.onError(error)));
    let loaded = false;
    let looked = performance.now();
    return {
      async load(connections) {
        planned = connections;
        await inTurn(() => charon.load(connections));
      },
      async prune(connections) {
        await inTurn(() => charon.prune(connections));
        if (!loaded) {
          loaded = true;
          adoptOrphans(options, connections, signal);
        }
        if (performance.now() - looked >= GHOSTS_MS) {
          looked = performance.now();
          const sas = await charon.listSas();
          await charon.endChildren(findGhosts(sas, await listStates(options.iproute2)));
        }
      },
      async report() {
        const sas = (await charon.listSas()).filter(({ connection }) =>
          connection.startsWith(CONNECTION_PREFIX),
        );
        const childSas = sas.reduce((sum, { children }) => sum + children.length, 0);
        return {
          ikeSas: sas.length,
          childSas,
          certificate: identity,
          failures: [...failures.values()]
            .filter(({ connection }) => planned.some(({ name }) => name === connection))
            .sort((a, b) => (a.connection < b.connection ? -1 : 1)),
        };
      },
      async forgetRebooted(peers) {
        const names = new Set(peers.map((peer) => `${CONNECTION_PREFIX}${peer}`));
        const sas = await charon.listSas();
        const lost = sas.filter(
          ({ connection, establishedFor = 0 }) => names.has(connection) && establishedFor >= SINCE_BOOT_S,
        );
        await charon.forget(lost.map(({ uniqueId }) => uniqueId));
      },
      bringUp: (children) => bringUp(options, children, signal),
      pins: pinning.pins,
      async renew(next) {
        const forgotten = identity.trusted.filter((root) => !next.trusted.includes(root));
        renewals += 1;
        const round = renewals;
        charon.renewing(true);
        await inTurn(async () => {
          await charon.loadIdentity(next);
          await charon.load(planned);
          await charon.forgetFormerKeys();
          if (forgotten.length > 0 && !(await charon.forgetAuthorities(next))) {
            options.onError(new Error(`charon trusts ${forgotten.join(', ')} until it is started again`));
          }
        });
        identity = next;
        options.onFailures();
        while (round === renewals && (await renewStale(charon, planned, renewal)) > 0) {
          await setTimeout(RENEWAL_RETRY_MS, undefined, { signal: ended.signal });
        }
        if (round === renewals) {
          charon.renewing(false);
        }
      },
      closed: session.closed.then(({ message }) => {
        pinning.stop();
        ended.abort();
        return message;
      }),
      close: () => void session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** One after the other, whatever becomes of the one before. */
function createQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next;
    return next;
  };
}

/** In a session of its own and in the background: a peer that is away must not hold up the next reconcile. */
function adoptOrphans(
  options: CharonSessionOptions,
  connections: readonly ConnectionConfig[],
  signal: AbortSignal,
): void {
  const replace = async (): Promise<void> => {
    const session = await connectVici({ path: options.path, timeoutMs: CONNECT_MS, signal });
    try {
      const replaced = await replaceWith(createCharon(session), options.iproute2, connections);
      if (replaced > 0) {
        options.onOrphans(replaced);
      }
    } finally {
      await session.close();
    }
  };
  replace().catch(options.onError);
}

async function replaceWith(
  charon: Charon,
  iproute2: Iproute2,
  connections: readonly ConnectionConfig[],
): Promise<number> {
  return await replaceOrphans(connections, {
    listKernel: () => listStates(iproute2),
    listSas: () => charon.listSas(),
    initiate: (connection, child) => charon.initiate(connection, child, INITIATE_MS),
    settle: () => setTimeout(IN_FLIGHT_MS),
    deleteKernel: (sa) => deleteState(iproute2, sa),
  });
}

/** In sessions of its own: a command that waits for a peer holds up all that comes after it. */
async function bringUp(
  { path }: CharonSessionOptions,
  children: readonly ChildRef[],
  signal: AbortSignal,
): Promise<void> {
  const running = new Set<string>();
  const queue = [...children];
  const worker = async (): Promise<void> => {
    const session = await connectVici({ path, timeoutMs: CONNECT_MS, signal });
    try {
      const charon = createCharon(session);
      for (const sa of await charon.listSas()) {
        for (const { name } of sa.children) {
          running.add(`${sa.connection}/${name}`);
        }
      }
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        if (!running.has(`${next.connection}/${next.child}`)) {
          await charon.initiate(next.connection, next.child, BRING_UP_MS).catch(() => undefined);
        }
      }
    } finally {
      await session.close();
    }
  };
  await Promise.allSettled(Array.from({ length: Math.min(AT_ONCE, queue.length) }, worker));
}
