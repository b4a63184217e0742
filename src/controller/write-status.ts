import * as z from 'zod';
import type { IPsecNode } from '../cluster/contract/node-status.ts';
import { IPSEC_POLICIES_PATH, IPSEC_POLICY } from '../cluster/contract/resources.ts';
import type { IPsecPolicy } from '../cluster/objects.ts';
import type { ClusterObjects } from '../cluster/snapshot.ts';
import { APPLY_PATCH, type KubeClient } from '../kube/client.ts';
import { isNotFound, isRefusal } from '../kube/error.ts';
import type { Reflector } from '../kube/reflector.ts';
import type { Condition } from './conditions.ts';
import type { EnablingState } from './enabling.ts';
import type { Grant } from './event-limit.ts';
import { type EventOptions, writeEvent } from './events.ts';
import { type PolicyStatus, policyStatuses, type StatusContext, statusSchema } from './status.ts';

export interface StatusOptions extends EventOptions {
  readonly phaseLimitMs: number;
  /** Whether the status of this policy may be written now, although it stays in its phase (`STATUSES`). */
  readonly mayPatch: (policy: string) => Grant;
}

const MANAGER = 'trapline-controller';

/**
 * The status of a policy that was last written. `since`: by type of condition, since when it has its value
 * (RFC 3339).
 */
export interface Written {
  readonly uid: string;
  readonly status: PolicyStatus;
  readonly since: ReadonlyMap<string, { readonly status: string; readonly at: string }>;
}

/**
 * What statuses are made from, and what was written before; `update` brings `written` and `enabling` up to
 * date.
 */
export interface State {
  readonly objects: ClusterObjects;
  readonly nodes: Reflector<IPsecNode>;
  readonly written: Map<string, Written>;
  readonly enabling: Map<string, EnablingState>;
  readonly accepted?: NonNullable<StatusContext['accepted']>;
}

/**
 * Writes the status of every policy of which it has changed, with an Event for each condition that has
 * changed. Throws KubeError.
 */
export async function update(
  options: StatusOptions,
  { objects, nodes, written, enabling, accepted = { items: new Map() } }: State,
): Promise<void> {
  const { phaseLimitMs } = options;
  const context = { now: options.now(), phaseLimitMs, enabling, accepted };
  const statuses = policyStatuses(objects, [...nodes.items.values()], context);
  for (const policy of objects.policies) {
    const { name, uid = '' } = policy.metadata;
    const status = statuses.get(name);
    const former = written.get(name);
    const before = former?.uid === uid ? former : undefined;
    const same = before !== undefined && JSON.stringify(before.status) === JSON.stringify(status);
    if (status === undefined || (same && !isOverwritten(policy, status))) {
      continue;
    }
    const stays =
      before?.status.phase === status.phase && before.status.observedGeneration === status.observedGeneration;
    if (stays && !options.mayPatch(name).granted) {
      // A node that changes its word all the time. What it says last is written at a later look.
      continue;
    }
    const next = withTimes(status, { uid, before, now: options.now() });
    try {
      await write(options.client, policy, next);
    } catch (error) {
      if (!isRefusal(error)) {
        throw error;
      }
      // It is gone, or this one status is refused: the others must not wait for it.
      if (!isNotFound(error)) {
        options.log.warn({ policy: name, problem: (error as Error).message }, 'status refused');
      }
      continue;
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
    enabling.delete(name);
  }
}

/**
 * Whether somebody else has written the phase, which agents go by, into the status. What we have read may be
 * older than what we have written; then the same is written once more, which changes nothing.
 */
function isOverwritten({ status }: IPsecPolicy, { phase, observedGeneration }: PolicyStatus): boolean {
  return status !== undefined && (status.phase !== phase || status.observedGeneration !== observedGeneration);
}

const policyListSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), uid: z.string(), generation: z.number().default(0) }),
      status: statusSchema.optional().catch(undefined),
    }),
  ),
});

/**
 * The statuses that an earlier leader wrote, by name of the policy. One of a generation that is still to come
 * was not written by a leader, and does not count. Throws KubeError.
 */
export async function recall(client: KubeClient): Promise<Map<string, Written>> {
  const { items } = policyListSchema.parse(await client.request({ path: IPSEC_POLICIES_PATH }));
  return new Map(
    items.flatMap(({ metadata: { name, uid, generation }, status }) => {
      if (status === undefined || status.observedGeneration > generation) {
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

/**
 * The phases that an earlier leader wrote. It did not write since when, so that each begins anew at `now`.
 */
export function recallEnabling(
  written: ReadonlyMap<string, Written>,
  now: number,
): Map<string, EnablingState> {
  return new Map(
    [...written].map(([name, { uid, status }]) => [
      name,
      { uid, generation: status.observedGeneration, phase: status.phase, since: now },
    ]),
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
    path: `${IPSEC_POLICIES_PATH}/${name}/status`,
    query: { fieldManager: MANAGER, force: 'true' },
    contentType: APPLY_PATCH,
    body: {
      ...IPSEC_POLICY,
      metadata: { name },
      status: { ...status, conditions },
    },
  });
}

async function announce(
  options: StatusOptions,
  { metadata: { name, uid = '' } }: IPsecPolicy,
  { type, status, reason, message }: Condition,
): Promise<void> {
  await writeEvent(options, {
    regarding: { ...IPSEC_POLICY, name, uid },
    type: status === 'True' ? 'Normal' : 'Warning',
    reason: `${status === 'True' ? '' : 'Not'}${type}`,
    action: reason,
    note: message,
  });
}
