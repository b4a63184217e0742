import type { Logger } from 'pino';
import * as z from 'zod';
import { APPLY_PATCH, type KubeClient } from '../kube/client.ts';
import { isNotFound } from '../kube/error.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { ClusterObjects, IPsecPolicy, Snapshot } from '../watcher/objects.ts';
import { kubernetesSource } from '../watcher/sources/kubernetes/source.ts';
import { createWake } from '../watcher/wake.ts';
import { createLease, RENEW_DEADLINE_MS, RENEW_MS } from './lease.ts';
import {
  type Condition,
  type IPsecNode,
  ipsecNodeSchema,
  type PolicyStatus,
  policyStatuses,
  statusSchema,
} from './status.ts';

export interface ControllerOptions {
  readonly client: KubeClient;
  /** Where the Lease is. */
  readonly namespace: string;
  /** The pod's name. */
  readonly identity: string;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

const MANAGER = 'trapline-controller';
const POLICIES = '/apis/starlingx.io/v1/ipsecpolicies';
/** A node that falls silent changes nothing that could be watched. */
const SILENCE_CHECK_MS = 20_000;

/** What was last written of a policy. */
interface Written {
  readonly uid: string;
  readonly status: PolicyStatus;
  readonly since: ReadonlyMap<string, { readonly status: string; readonly at: string }>;
}

/**
 * Aggregates what the agents say of their nodes into the status of each IPsecPolicy, with an Event for each change of a condition. Several may
 * run, one works. Runs until the signal aborts; never rejects.
 */
export async function runController(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const { log, sleep, now } = options;
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
      const work = lead(options, leading);
      let renewed = now();
      while (!leading.aborted) {
        await sleep(RENEW_MS, leading);
        const still = await lease.hold().catch(() => undefined);
        if (still === true) {
          renewed = now();
        } else if (still === false || now() - renewed > RENEW_DEADLINE_MS) {
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

async function lead(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const { client, log, sleep } = options;
  const wake = createWake();
  const nodes = createReflector({
    client,
    path: '/apis/trapline.io/v1alpha1/ipsecnodes',
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
  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      await wake.wait(SILENCE_CHECK_MS, signal);
      if (snapshot !== undefined && nodes.synced && !signal.aborted) {
        try {
          written ??= await recall(client);
          await update(options, { objects: snapshot.objects, nodes, written });
        } catch (error) {
          log.warn({ problem: (error as Error).message }, 'status not written');
          await sleep(1_000, signal);
          wake.notify();
        }
      }
    }
  };
  await Promise.all([nodes.run(signal), follow(), work()]);
}

interface State {
  readonly objects: ClusterObjects;
  readonly nodes: Reflector<IPsecNode>;
  readonly written: Map<string, Written>;
}

async function update(options: ControllerOptions, { objects, nodes, written }: State): Promise<void> {
  const statuses = policyStatuses(objects, [...nodes.items.values()], options.now());
  for (const policy of objects.policies) {
    const { name, uid = '' } = policy.metadata;
    const status = statuses.get(name);
    const former = written.get(name);
    const before = former?.uid === uid ? former : undefined;
    if (
      status === undefined ||
      (before !== undefined && JSON.stringify(before.status) === JSON.stringify(status))
    ) {
      continue;
    }
    const next = withTimes(status, { uid, before, now: options.now() });
    try {
      await write(options.client, policy, next);
    } catch (error) {
      if (isNotFound(error)) {
        continue;
      }
      throw error;
    }
    written.set(name, next);
    for (const condition of status.conditions) {
      const old = before?.status.conditions.find(({ type }) => type === condition.type);
      if (old === undefined || old.status !== condition.status || old.reason !== condition.reason) {
        await announce(options, policy, condition);
      }
    }
  }
  for (const name of [...written.keys()].filter((key) => !statuses.has(key))) {
    written.delete(name);
  }
}

const policyListSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), uid: z.string() }),
      status: statusSchema.optional().catch(undefined),
    }),
  ),
});

/** What an earlier leader wrote. */
async function recall(client: KubeClient): Promise<Map<string, Written>> {
  const { items } = policyListSchema.parse(await client.request({ path: POLICIES }));
  return new Map(
    items.flatMap(({ metadata: { name, uid }, status }) => {
      if (status === undefined) {
        return [];
      }
      const since = new Map(
        status.conditions.map(({ type, status: value, lastTransitionTime }) => [
          type,
          { status: value, at: lastTransitionTime },
        ]),
      );
      const conditions = status.conditions.map(({ lastTransitionTime: _at, ...condition }) => condition);
      return [[name, { uid, status: { ...status, conditions }, since }]];
    }),
  );
}

function withTimes(
  status: PolicyStatus,
  { uid, before, now }: { readonly uid: string; readonly before: Written | undefined; readonly now: number },
): Written {
  const since = new Map(
    status.conditions.map(({ type, status: value }) => {
      const old = before?.since.get(type);
      const at = old?.status === value ? old.at : new Date(now).toISOString().replace(/\.\d+Z/, 'Z');
      return [type, { status: value, at }];
    }),
  );
  return { uid, status, since };
}

async function write(
  client: KubeClient,
  { metadata: { name } }: IPsecPolicy,
  { status, since }: Written,
): Promise<void> {
  const conditions = status.conditions.map((condition) => ({
    ...condition,
    lastTransitionTime: since.get(condition.type)?.at,
  }));
  await client.request({
    method: 'PATCH',
    path: `${POLICIES}/${name}/status`,
    query: { fieldManager: MANAGER, force: 'true' },
    contentType: APPLY_PATCH,
    body: {
      apiVersion: 'starlingx.io/v1',
      kind: 'IPsecPolicy',
      metadata: { name },
      status: { ...status, conditions },
    },
  });
}

/** An Event that cannot be written is not worth stopping for. */
async function announce(
  { client, now, identity, log }: ControllerOptions,
  { metadata: { name, uid } }: IPsecPolicy,
  { type, status, reason, message }: Condition,
): Promise<void> {
  const namespace = 'default';
  try {
    await client.request({
      method: 'POST',
      path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { generateName: `${name}-`, namespace },
        eventTime: new Date(now()).toISOString().replace('Z', '000Z'),
        type: status === 'True' ? 'Normal' : 'Warning',
        reason: `${status === 'True' ? '' : 'Not'}${type}`,
        action: reason,
        note: message.slice(0, 1_000),
        regarding: { apiVersion: 'starlingx.io/v1', kind: 'IPsecPolicy', name, uid },
        reportingController: 'trapline.io/controller',
        reportingInstance: identity,
      },
    });
  } catch (error) {
    log.warn({ problem: (error as Error).message }, 'Event not written');
  }
}
