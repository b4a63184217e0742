/**
 * The controller reads what agents say of their nodes. From it, it writes the status of each IPsecPolicy,
 * tells the steps in which a policy is enabled, writes Events, and (`keys`) signs certificates. It touches
 * the API server alone, through a client that is passed in. It imports `src/cluster`, `src/kube`, `src/pki`
 * and `src/util`, and nothing of the agent: what the two share is in `src/cluster/contract`.
 */

import { type IPsecNode, ipsecNodeSchema } from '../cluster/contract/node-status.ts';
import { IPSEC_NODES_PATH } from '../cluster/contract/resources.ts';
import type { Snapshot } from '../cluster/snapshot.ts';
import { kubernetesSource } from '../cluster/sources/kubernetes/source.ts';
import { createReflector } from '../kube/reflector.ts';
import { createWake } from '../util/wake.ts';
import type { EnablingState } from './enabling.ts';
import { createEventLimit, STATUSES } from './event-limit.ts';
import { type Announced, announceFailures } from './failures.ts';
import { type KeysOptions, keepKeys } from './keys/keys.ts';
import { createLease, RENEW_DEADLINE_MS, RENEW_MS } from './lease.ts';
import { type AnnouncedNodes, announceNodes } from './node-problems.ts';
import { recall, recallEnabling, type StatusOptions, update, type Written } from './write-status.ts';

export interface ControllerOptions extends Omit<StatusOptions, 'mayWrite' | 'mayPatch'> {
  /** Monotonic, milliseconds: a clock that is set must not lose or steal the Lease. */
  readonly clock: () => number;
  /** The namespace of the Lease, and of the CA's Secret and ConfigMap. */
  readonly namespace: string;
  /** Undefined if nodes have their keys from somewhere else: then nothing is signed. */
  readonly keys:
    | Pick<KeysOptions, 'agentAccount' | 'caDays' | 'caLimitMs' | 'days' | 'onStragglers'>
    | undefined;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** No event comes when a node falls silent: the heartbeats are looked at this often. */
const SILENCE_CHECK_MS = 20_000;
/**
 * How often nodes are looked at while a policy is being enabled: no event comes when the time for a step is
 * over.
 */
const ENABLING_CHECK_MS = 1_000;

/**
 * Aggregates what the agents say of their nodes into the status of each IPsecPolicy, with an Event for each
 * change of a condition, and signs the certificates of nodes. Several replicas may run; the one that holds
 * the Lease works. Runs until the signal aborts; never rejects.
 */
export async function runController(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const { log, sleep, clock } = options;
  const limits = { mayWrite: createEventLimit(clock), mayPatch: createEventLimit(clock, STATUSES) };
  const lease = createLease({ ...options, name: 'trapline-controller' });
  while (!signal.aborted) {
    const held = await lease.hold().catch((error: Error) => {
      log.warn({ problem: error.message }, 'lease not held');
      return false;
    });
    if (held) {
      log.info({ identity: options.identity }, 'leading');
      const stop = new AbortController();
      const leading = AbortSignal.any([signal, stop.signal]);
      const work = lead({ ...options, ...limits }, leading);
      let renewed = clock();
      while (!leading.aborted) {
        await sleep(RENEW_MS, leading);
        const still = await lease.hold().catch(() => undefined);
        if (still === true) {
          renewed = clock();
        } else if (still === false || clock() - renewed > RENEW_DEADLINE_MS) {
          stop.abort();
        }
      }
      await work;
      log.info({ identity: options.identity }, 'no longer leading');
    } else {
      await sleep(RENEW_MS, signal);
    }
  }
  await lease.release().catch(() => undefined);
}

async function lead(options: ControllerOptions & StatusOptions, signal: AbortSignal): Promise<void> {
  const { client, log, sleep } = options;
  const wake = createWake();
  const nodes = createReflector({
    client,
    path: IPSEC_NODES_PATH,
    parse: (raw): IPsecNode | string => {
      const parsed = ipsecNodeSchema.safeParse(raw);
      return parsed.success ? parsed.data : parsed.error.message;
    },
    onChange: wake.notify,
  });
  let snapshot: Snapshot | undefined;
  let stale = '';
  const follow = async (): Promise<void> => {
    for await (const next of kubernetesSource({ client, nodeName: null }).watch(signal)) {
      if (next.stale !== stale) {
        stale = next.stale;
        if (stale === '') {
          log.info('in sync');
        } else {
          log.warn({ problem: stale }, 'not in sync');
        }
      }
      snapshot = stale === '' ? next : snapshot;
      wake.notify();
    }
  };
  let written: Map<string, Written> | undefined;
  const announced: Announced = new Map();
  const announcedNodes: AnnouncedNodes = new Map();
  let enabling = new Map<string, EnablingState>();
  const accepted = { items: new Map() };
  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      const allRequired = [...enabling.values()].every(({ phase }) => phase === 'Required');
      await wake.wait(allRequired ? SILENCE_CHECK_MS : ENABLING_CHECK_MS, signal);
      if (snapshot !== undefined && nodes.synced && !signal.aborted) {
        try {
          if (written === undefined) {
            written = await recall(client);
            enabling = recallEnabling(written, options.now());
          }
          await update(options, { objects: snapshot.objects, nodes, written, enabling, accepted });
          await announceFailures(options, nodes.items.values(), announced);
          await announceNodes(options, snapshot.objects, announcedNodes);
        } catch (error) {
          log.warn({ problem: (error as Error).message }, 'status not written');
          await sleep(1_000, signal);
          wake.notify();
        }
      }
    }
  };
  const view = {
    nodes: () =>
      snapshot === undefined || !nodes.synced
        ? undefined
        : new Set(snapshot.objects.nodes.map(({ metadata }) => metadata.name)),
    reports: () => nodes.items.values(),
  };
  const keys =
    options.keys === undefined ? undefined : keepKeys({ ...options, ...options.keys }, view, signal);
  await Promise.all([nodes.run(signal), follow(), work(), keys]);
}
