import type { Snapshot } from '../cluster/objects.ts';
import { CONNECTION_PREFIX } from '../ipsec/plan/connections.ts';
import type { Phase } from '../ipsec/plan/types.ts';
import { PROBLEMS_KEPT } from '../rundir/heartbeat.ts';
import type { NodeCache } from '../rundir/schema.ts';
import type { AgentEffects } from './agent.ts';
import { NO_CHARON } from './charon/link.ts';
import type { BootIds } from './loop/rebooted.ts';
import type { NodeReport, PolicyRef } from './report/publish.ts';

/** What the agent knows; errors are empty if there are none. */
export interface AgentState {
  cache: NodeCache | null;
  enforcedGeneration: number;
  sourceError: string;
  reconcileError: string;
  /** Why charon is not in step with the plan. */
  charonError: string;
  hairpinError: string;
  problems: readonly string[];
  /** The policies that the cache was made from, and those that are enforced. */
  policies: readonly PolicyRef[];
  enforcedPolicies: readonly PolicyRef[];
  planned: number;
  /** When charon was last to be compared with the plan; milliseconds. */
  charonAt: number;
  /** What the last step was made from, unless kernel or charon refused it. */
  ground: NodeCache | null;
  bootIds: BootIds;
  snapshot: Snapshot | undefined;
}

export function newState(initial: NodeCache | null): AgentState {
  return {
    cache: initial,
    enforcedGeneration: 0,
    sourceError: 'not read yet',
    reconcileError: '',
    charonError: '',
    hairpinError: '',
    problems: [],
    policies: [],
    enforcedPolicies: [],
    planned: 0,
    charonAt: 0,
    ground: null,
    bootIds: new Map(),
    snapshot: undefined,
  };
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Writes the heartbeat, and publishes what this node enforces: `policies`. */
export async function tell(
  { charon, writeHeartbeat, publish, now }: AgentEffects,
  state: AgentState,
  policies: NodeReport['policies'],
): Promise<void> {
  const { failures: failed, ...sas } = await charon.report().catch(() => NO_CHARON);
  const failures = failed.map(({ connection, reason }) => ({
    peer: connection.slice(CONNECTION_PREFIX.length),
    reason,
  }));
  const { sourceError, hairpinError, enforcedGeneration } = state;
  const reconcileError = [state.reconcileError, state.charonError].filter((error) => error !== '').join('; ');
  const problems = state.problems.slice(0, PROBLEMS_KEPT);
  writeHeartbeat({
    at: now(),
    charonError: charon.error(),
    sourceError,
    enforcedGeneration,
    reconcileError,
    hairpinError,
    problems,
    failures: failures.map(({ peer, reason }) => `${peer}: ${reason}`),
  });
  publish({
    ...sas,
    failures,
    addresses: state.cache?.node.addresses ?? [],
    podCidrs: state.cache?.node.podCidrs ?? [],
    policies,
    xfrmPolicies: state.planned,
    problems,
    error: [charon.error(), reconcileError, sourceError].filter((error) => error !== '').join('; '),
  });
}

/** Files have no uid and no generation: then any is as good as another. */
export function policyRefs({ objects }: Snapshot, phases: ReadonlyMap<string, Phase>): PolicyRef[] {
  return objects.policies.map(({ metadata: { name, uid = '', generation = 0 } }) => ({
    name,
    uid,
    generation,
    phase: phases.get(name) ?? 'require',
  }));
}
