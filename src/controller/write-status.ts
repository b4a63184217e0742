import type { Logger } from 'pino';
import * as z from 'zod';
import { APPLY_PATCH, type KubeClient } from '../kube/client.ts';
import { isNotFound } from '../kube/error.ts';
import type { Reflector } from '../kube/reflector.ts';
import type { ClusterObjects, IPsecPolicy } from '../watcher/objects.ts';
import { type Condition, type IPsecNode, type PolicyStatus, policyStatuses, statusSchema } from './status.ts';

export interface StatusOptions {
  readonly client: KubeClient;
  /** The pod's name. */
  readonly identity: string;
  readonly now: () => number;
  readonly log: Logger;
}

const MANAGER = 'trapline-controller';
const POLICIES = '/apis/starlingx.io/v1/ipsecpolicies';

/** What was last written of a policy. */
export interface Written {
  readonly uid: string;
  readonly status: PolicyStatus;
  readonly since: ReadonlyMap<string, { readonly status: string; readonly at: string }>;
}

/** What the status is made of, and what was written of it before. */
export interface State {
  readonly objects: ClusterObjects;
  readonly nodes: Reflector<IPsecNode>;
  readonly written: Map<string, Written>;
}

/** Writes the status of every policy whose status has changed, with Events. Throws KubeError. */
export async function update(options: StatusOptions, { objects, nodes, written }: State): Promise<void> {
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

/** What an earlier leader wrote. Throws KubeError. */
export async function recall(client: KubeClient): Promise<Map<string, Written>> {
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
  { client, now, identity, log }: StatusOptions,
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
