import { PHASES } from '../../ipsec/plan/phase.ts';
import type { Phase } from '../../ipsec/plan/types.ts';

/**
 * The phases in which a policy is enabled (docs/design.md, Phases), in their order, as the controller writes
 * them into `status.phase` of the IPsecPolicy. Nodes have words of their own for the same three phases.
 */
export const POLICY_PHASES = ['Accepting', 'Sending', 'Required'] as const;
export type PolicyPhase = (typeof POLICY_PHASES)[number];

const ON_NODES: Readonly<Record<PolicyPhase, Phase>> = {
  Accepting: 'accept',
  Sending: 'send',
  Required: 'require',
};

/**
 * How far a node is with a policy. `none`: its new ports cannot accept ESP yet, so that no other node may
 * send it.
 */
export type Reached = Phase | 'none';

/** The phase into which the controller's word puts the ports of a policy on every node. */
export function phaseOnNodes(phase: PolicyPhase): Phase {
  return ON_NODES[phase];
}

/** Whether a node has taken the step into a phase, or a later one. */
export function hasReached(reached: Reached, phase: PolicyPhase): boolean {
  return reached !== 'none' && PHASES.indexOf(reached) >= PHASES.indexOf(ON_NODES[phase]);
}

/** Undefined after the last phase. */
export function phaseAfter(phase: PolicyPhase): PolicyPhase | undefined {
  return POLICY_PHASES[POLICY_PHASES.indexOf(phase) + 1];
}
