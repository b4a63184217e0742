import type { Snapshot } from '../cluster/snapshot.ts';
import type { Phase } from '../ipsec/plan/types.ts';
import type { NodeCache } from '../rundir/schema.ts';
import type { BootIds } from './loop/rebooted.ts';
import type { PolicyRef } from './report/node-report.ts';

/** What the agent's tasks share. An error is empty if there is none. */
export interface AgentState {
  cache: NodeCache | null;
  /** Generation of the cache that kernel and charon were last brought in step with. */
  enforcedGeneration: number;
  sourceError: string;
  reconcileError: string;
  /** What the kernel refuses, while all else is in force. */
  refusedError: string;
  /** Why charon is not in step with the plan. */
  charonError: string;
  hairpinError: string;
  problems: readonly string[];
  /** The policies that the cache was made from. */
  policies: readonly PolicyRef[];
  /** The policies that kernel and charon were last brought in step with. */
  enforcedPolicies: readonly PolicyRef[];
  /** How many XFRM policies the plan has. */
  planned: number;
  /** When charon was last to be compared with the plan; milliseconds. */
  charonAt: number;
  /** The cache that the last step was made from; null if kernel or charon refused that step. */
  ground: NodeCache | null;
  bootIds: BootIds;
  snapshot: Snapshot | undefined;
  /** Whether time alone has made another cache due. */
  due: () => boolean;
}

export function newState(initial: NodeCache | null): AgentState {
  return {
    cache: initial,
    enforcedGeneration: 0,
    sourceError: 'not read yet',
    reconcileError: '',
    refusedError: '',
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
    due: () => false,
  };
}

/**
 * The policies of a snapshot. One from a file has neither uid nor generation: then any is as good as another.
 */
export function policyRefs({ objects }: Snapshot, phases: ReadonlyMap<string, Phase>): PolicyRef[] {
  return objects.policies.map(({ metadata: { name, uid = '', generation = 0 } }) => ({
    name,
    uid,
    generation,
    phase: phases.get(name) ?? 'require',
  }));
}
