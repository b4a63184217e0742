/**
 * The room `agent/charon` keeps one session with a running charon (`link`, this file) and acts on what charon
 * tells: it replaces SAs before they end (`renewer`, `renewal`, `pinning`), replaces orphans and ghosts,
 * answers acquires that charon ignores (`trap-watch`) and gives up dead peers. It uses `ipsec/charon` and
 * `ipsec/vici`, reads SAs through `ipsec/xfrm` and deletes orphans there. It writes no policies: a callback
 * tells that pins have changed, and a step of the loop pins the policies.
 */

import { createCharon } from '../../ipsec/charon/client.ts';
import type { Failure } from '../../ipsec/charon/log/failures.ts';
import { assertSupported } from '../../ipsec/charon/supported.ts';
import { CONNECTION_PREFIX } from '../../ipsec/plan/connections.ts';
import type { ConnectionConfig } from '../../ipsec/plan/types.ts';
import { connectVici } from '../../ipsec/vici/session.ts';
import { listStates } from '../../ipsec/xfrm/kernel.ts';
import { sleep } from '../../util/sleep.ts';
import { adoptOrphans, bringUp } from './background.ts';
import { follow } from './follow.ts';
import type { CharonSession } from './link.ts';
import { createPinning } from './pinning.ts';
import { createRenewer } from './renewer.ts';
import { type CharonSessionOptions, CONNECT_MS } from './session-options.ts';
import { type RepairEffects, replaceGhosts } from './trap-watch.ts';

/** Time limit for bringing up a child that packets wait for. */
const ASKED_FOR_MS = 5_000;
/** How often charon's SAs are compared with the kernel's, even if no log line asks for it. */
const GHOSTS_MS = 20_000;
/**
 * An IKE_SA must be older than this for a peer's reboot to end it: a node tells the cluster of its boot
 * before it negotiates.
 */
const SINCE_BOOT_S = 2;

/** Opens a session with charon and loads the node's credentials into it. Throws ViciError, PkiError. */
export async function openCharonSession(
  options: CharonSessionOptions,
  signal: AbortSignal,
): Promise<CharonSession> {
  const session = await connectVici({ path: options.path, timeoutMs: CONNECT_MS, signal });
  try {
    const charon = createCharon(session, options.profile);
    const [{ version }, keyExchanges] = [await charon.version(), await charon.keyExchanges()];
    assertSupported(options.profile, { version, keyExchanges });
    let identity = await options.readIdentity();
    await charon.loadCredentials(identity);
    const failures = new Map<string, Failure>();
    const pinning = createPinning(options.pace, options.onPins);
    const inTurn = createQueue();
    const ended = new AbortController();
    let planned: readonly ConnectionConfig[] = [];
    const repair: RepairEffects = {
      charon,
      listKernel: () => listStates(options.iproute2),
      bringUp: (children) => bringUp({ path: options.path, timeoutMs: ASKED_FOR_MS }, children, signal),
    };
    const { signal: over } = ended;
    await follow(charon, { ...options, failures, pinning, repair, planned: () => planned, signal: over });
    const renewer = createRenewer(charon, {
      ...options,
      planned: () => planned,
      inTurn,
      signal: over,
      sleep: (ms) => sleep(ms, over),
      unpin: (sas) => {
        for (const { reqid, spiOut } of sas.flatMap(({ children }) => children)) {
          pinning.unpin(reqid, spiOut);
        }
      },
      open: async () => {
        const own = await connectVici({ path: options.path, timeoutMs: CONNECT_MS, signal });
        return { charon: createCharon(own), close: () => void own.close() };
      },
    });
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
          await replaceGhosts(repair, await charon.listSas());
        }
      },
      async report() {
        const sas = (await charon.listSas()).filter(({ connection }) =>
          connection.startsWith(CONNECTION_PREFIX),
        );
        const { notBefore, notAfter, root, trusted } = identity;
        const childSas = sas.reduce((sum, { children }) => sum + children.length, 0);
        return {
          ikeSas: sas.length,
          childSas,
          certificate: { notBefore, notAfter, root, trusted },
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
      bringUp: (children) =>
        bringUp({ path: options.path, timeoutMs: options.phaseLimitMs }, children, signal),
      pins: pinning.pins,
      async renew(next) {
        const former = identity;
        identity = next;
        await renewer.renew(former, next);
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

/** Runs work one after the other, whether the work before succeeded or not. */
function createQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next;
    return next;
  };
}
