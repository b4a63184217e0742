import * as z from 'zod';
import { NODE_HEARTBEAT_MS } from '../agent/report/publish.ts';
import type { IPsecPolicy } from '../cluster/objects.ts';
import type { NodePhase } from './enabling.ts';

/** What an agent says of its node, as far as the controller needs it. */
export const ipsecNodeSchema = z.object({
  metadata: z.object({ name: z.string(), uid: z.string().catch('') }),
  status: z
    .object({
      observedPolicies: z
        .array(
          z.object({
            name: z.string(),
            uid: z.string(),
            generation: z.number(),
            phase: z.enum(['accept', 'send', 'require']).optional().catch(undefined),
          }),
        )
        .catch([]),
      lastHeartbeat: z.string().catch(''),
      certificate: z
        .object({
          notBefore: z.string().catch(''),
          notAfter: z.string().catch(''),
          root: z.string().catch(''),
          trusted: z.array(z.string()).catch([]),
        })
        .optional()
        .catch(undefined),
      failures: z.array(z.object({ peer: z.string(), reason: z.string() })).catch([]),
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), message: z.string().catch('') }))
        .catch([]),
    })
    .optional(),
});

export type IPsecNode = z.infer<typeof ipsecNodeSchema>;

export interface Moment {
  readonly policy: IPsecPolicy;
  readonly now: number;
}

/** Of the nodes whose agents report: the others would hold up a step for nothing. */
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
    const seen = status.observedPolicies.find((each) => each.name === name && each.uid === uid);
    return [{ node, phase: seen === undefined || seen.generation < generation ? undefined : seen.phase }];
  });
}

function isSilent(lastHeartbeat: string, now: number): boolean {
  return !(now - Date.parse(lastHeartbeat) <= 3 * NODE_HEARTBEAT_MS);
}

/** Empty if the node enforces the policy as it is now. */
export function notEnforcing(node: string, report: IPsecNode | undefined, { policy, now }: Moment): string[] {
  const status = report?.status;
  if (status === undefined) {
    return [`${node}: no agent has reported`];
  }
  if (isSilent(status.lastHeartbeat, now)) {
    return [`${node}: its agent has been silent since ${status.lastHeartbeat || 'ever'}`];
  }
  const { name, uid = '', generation = 0 } = policy.metadata;
  const seen = status.observedPolicies.find((observed) => observed.name === name && observed.uid === uid);
  if (seen === undefined || seen.generation < generation) {
    return [
      `${node}: enforces ${seen === undefined ? 'nothing of it yet' : `generation ${seen.generation}`}`,
    ];
  }
  if (seen.phase !== 'require') {
    return [`${node}: does not require ESP yet`];
  }
  const healthy = status.conditions.find(({ type }) => type === 'Healthy');
  return healthy?.status === 'True' ? [] : [`${node}: ${healthy?.message ?? 'not healthy'}`];
}
