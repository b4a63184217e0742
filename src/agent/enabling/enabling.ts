/**
 * Enabling a policy on live traffic (docs/design.md, Phases): enabling.ts follows the phase that the
 * controller tells, acceptance.ts prepares what the first phase asks of this node, first-use.ts finds the
 * children that live traffic will need. The room reads the plan and the kernel's policies and changes
 * neither; charon and the clock are passed in.
 */
import { phaseOnNodes } from '../../cluster/contract/phases.ts';
import type { IPsecPolicy } from '../../cluster/objects.ts';
import type { Phase } from '../../ipsec/plan/types.ts';

/**
 * How many of the controller's limits new ports of a policy wait for its word. Then they are required without
 * it: protection must not depend on the controller. Two of the limits are the controller's own two steps.
 */
const LIMITS = 3;

export interface Enabling {
  /** How far each policy is, by name. */
  phases(policies: readonly IPsecPolicy[]): Map<string, Phase>;
}

/**
 * Follows the phases in which a policy is enabled on live traffic, as the controller writes them into the
 * policy's status (docs/design.md, Phases). A policy without a uid comes from a file: nobody coordinates the
 * nodes then, and it is required at once. So is a policy that a node finds at its start, if no earlier agent
 * has left a node cache (`remembers` is false): that node has protected nothing yet, and no live traffic can
 * be lost. `phaseLimitMs`: how long the controller waits for a node.
 */
export function createEnabling(remembers: boolean, phaseLimitMs: number, now: () => number): Enabling {
  let since: Map<string, number> | undefined;
  return {
    phases(policies) {
      const next = new Map<string, number>();
      const phases = new Map<string, Phase>();
      for (const { metadata, status } of policies) {
        const { name, uid, generation = 0 } = metadata;
        const key = `${uid}/${generation}`;
        const first = since?.get(key) ?? (since === undefined && !remembers ? 0 : now());
        next.set(key, first);
        const told = status?.observedGeneration === generation ? status.phase : undefined;
        const late = now() - first >= LIMITS * phaseLimitMs;
        phases.set(name, uid === undefined || late ? 'require' : phaseOnNodes(told ?? 'Accepting'));
      }
      since = next;
      return phases;
    },
  };
}
