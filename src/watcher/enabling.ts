import type { Phase } from '../ipsec/types.ts';
import type { IPsecPolicy } from './objects.ts';

/** How long new ports of a policy wait for the controller's word: protection must not depend on it. Above twice the controller's own limit. */
export const ENABLE_LIMIT_MS = 30_000;

/** `status.phase` of an IPsecPolicy. */
export const PHASES = { Accepting: 'accept', Sending: 'send', Required: 'require' } as const satisfies Record<
  string,
  Phase
>;

export interface Enabling {
  /** How far each policy is, by name. */
  phases(policies: readonly IPsecPolicy[]): Map<string, Phase>;
}

/**
 * Follows the phases in which a policy is enabled on live traffic, as the controller tells them in the status. What has no uid comes from
 * files: nobody coordinates the nodes, and it is required at once. So is what a node finds at its start, when it has protected
 * nothing yet (`remembers` is false).
 */
export function createEnabling(remembers: boolean, now: () => number): Enabling {
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
        const late = now() - first >= ENABLE_LIMIT_MS;
        phases.set(name, uid === undefined || late ? 'require' : PHASES[told ?? 'Accepting']);
      }
      since = next;
      return phases;
    },
  };
}
