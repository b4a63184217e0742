import { BOUNDS } from '../../cluster/bounds.ts';
import { addressesOutside } from '../../cluster/outside.ts';
import { CONNECTION_PREFIX } from '../../ipsec/plan/connections.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { clip, clipList } from '../../util/clip.ts';
import { NO_CHARON } from '../charon/link.ts';
import type { AgentEffects } from '../effects.ts';
import type { AgentState } from '../state.ts';
import type { NodeReport } from './node-report.ts';

/**
 * Writes the heartbeat, and hands a report to the publisher. `policies`: as the cluster may know them.
 * Whatever is told has a bound: names of peers and texts of others come in here, and go on to files and to
 * the API server.
 */
export async function tell(
  { charon, writeHeartbeat, publish, now, notices }: AgentEffects,
  state: AgentState,
  policies: NodeReport['policies'],
): Promise<void> {
  const { failures: failed, ...sas } = await charon.report().catch(() => NO_CHARON);
  const { elements, name, text } = BOUNDS.told;
  const failures = failed.slice(0, elements).map(({ connection, reason }) => ({
    peer: clip(connection.slice(CONNECTION_PREFIX.length), name),
    reason: clip(reason, text),
  }));
  const untold = failed.length - failures.length;
  const more = untold === 0 ? [] : [`negotiations: ${untold} more fail than the ${elements} that are told`];
  const problems = clipList([...more, ...notices(), ...state.problems], elements).map((each) =>
    clip(each, text),
  );
  const charonError = summary(charon.error());
  const sourceError = summary(state.sourceError);
  const reconcileError = summary(state.reconcileError, state.refusedError, state.charonError);
  writeHeartbeat({
    at: now(),
    charonError,
    sourceError,
    enforcedGeneration: state.enforcedGeneration,
    reconcileError,
    hairpinError: summary(state.hairpinError),
    problems,
    failures: failures.map(({ peer, reason }) => `${peer}: ${reason}`),
  });
  publish({
    ...sas,
    failures,
    addresses: state.cache?.node.addresses ?? [],
    podCidrs: state.cache?.node.podCidrs ?? [],
    addressesOutside: outsideOf(state.cache),
    policies,
    xfrmPolicies: state.planned,
    problems,
    error: summary(charonError, reconcileError, sourceError, state.hairpinError),
  });
}

/** What is not empty of some errors, as one text. */
function summary(...errors: readonly string[]): string {
  return clip(errors.filter((error) => error !== '').join('; '), BOUNDS.told.summary);
}

function outsideOf(cache: NodeCache | null): readonly string[] {
  return cache === null
    ? []
    : addressesOutside(cache.pods, cache.node, cache.peers).slice(0, BOUNDS.addressesOutside);
}
