import { isSilent } from '../cluster/contract/heartbeat.ts';
import type { IPsecNode } from '../cluster/contract/node-status.ts';
import { hasReached } from '../cluster/contract/phases.ts';
import type { IPsecPolicy } from '../cluster/objects.ts';
import type { NodePhase } from './enabling.ts';

/** A policy, and when it is looked at: milliseconds since the epoch. */
export interface Moment {
  readonly policy: IPsecPolicy;
  readonly now: number;
}

/** How far each node is with a policy. Silent nodes are left out: they would hold up a step for nothing. */
export function phasesOf(
  { policy, now }: Moment,
  nodes: readonly { readonly name: string }[],
  reports: ReadonlyMap<string, IPsecNode>,
): NodePhase[] {
  const { name, uid = '', generation = 0 } = policy.metadata;
  return nodes.flatMap(({ name: node }) => {
    const status = reports.get(node)?.status;
    if (status === undefined || isSilent(status.lastHeartbeat, now)) {
      return [];
    }
    const seen = observedOf(status, name, uid);
    return [{ node, reached: seen === undefined || seen.generation < generation ? 'none' : seen.reached }];
  });
}

/**
 * Empty if the node enforces the present generation of the policy, otherwise one reason why not: `<node>:
 * <reason>`.
 */
export function notEnforcing(node: string, report: IPsecNode | undefined, { policy, now }: Moment): string[] {
  const status = report?.status;
  if (status === undefined) {
    return [`${node}: no agent has reported`];
  }
  if (isSilent(status.lastHeartbeat, now)) {
    return [`${node}: its agent has been silent since ${status.lastHeartbeat || 'ever'}`];
  }
  const { name, uid = '', generation = 0 } = policy.metadata;
  const seen = observedOf(status, name, uid);
  if (seen === undefined || seen.generation < generation) {
    return [
      `${node}: enforces ${seen === undefined ? 'nothing of it yet' : `generation ${seen.generation}`}`,
    ];
  }
  if (!hasReached(seen.reached, 'Required')) {
    return [`${node}: does not require ESP yet`];
  }
  const healthy = status.conditions.find(({ type }) => type === 'Healthy');
  return healthy?.status === 'True' ? [] : [`${node}: ${healthy?.message ?? 'not healthy'}`];
}

type Status = NonNullable<IPsecNode['status']>;
type Observed = Status['observedPolicies'][number];

/** By status and name. A node says something of each policy, and each policy asks each node. */
const indexes = new WeakMap<Status, ReadonlyMap<string, Observed>>();

function observedOf(status: Status, name: string, uid: string): Observed | undefined {
  let index = indexes.get(status);
  if (index === undefined) {
    index = new Map(status.observedPolicies.map((each) => [each.name, each]));
    indexes.set(status, index);
  }
  const seen = index.get(name);
  return seen?.uid === uid ? seen : undefined;
}
