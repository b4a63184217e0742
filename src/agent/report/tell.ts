import { CONNECTION_PREFIX } from '../../ipsec/plan/connections.ts';
import { PROBLEMS_KEPT } from '../../rundir/heartbeat.ts';
import { NO_CHARON } from '../charon/link.ts';
import type { AgentEffects } from '../effects.ts';
import type { AgentState } from '../state.ts';
import type { NodeReport } from './node-report.ts';

/** Writes the heartbeat, and hands a report to the publisher. `policies`: as the cluster may know them. */
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
