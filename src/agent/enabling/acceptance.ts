import type { ObservedPolicy } from '../../cluster/contract/node-status.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import type { PolicyRef } from '../report/node-report.ts';

/** How long plaintext is watched until it is clear which flows are live. */
const OBSERVE_MS = 1_000;

export interface AcceptanceEffects {
  /** Brings up the children that live traffic will need once it is sent as ESP. Never rejects. */
  readonly warmUp: (cache: NodeCache) => Promise<void>;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Which policies this node has accepted in full: charon has their children, and those that live traffic will
 * need are up (docs/design.md, Phases).
 */
export interface Acceptance {
  /**
   * Call it when policies of phase `accept` are in force. Resolves once their children are up; to false if
   * there was nothing to do.
   */
  prepare(cache: NodeCache, policies: readonly PolicyRef[], signal: AbortSignal): Promise<boolean>;
  /**
   * The policies as others may know them: `none` is reached of one while the others must not send ESP for it
   * yet.
   */
  told(policies: readonly PolicyRef[]): ObservedPolicy[];
}

export function createAcceptance({ warmUp, sleep }: AcceptanceEffects): Acceptance {
  const begun = new Set<string>();
  const ready = new Set<string>();
  return {
    async prepare(cache, policies, signal) {
      const keys = policies.filter(({ phase }) => phase === 'accept').map(keyOf);
      if (keys.every((key) => begun.has(key))) {
        return false;
      }
      for (const key of keys) {
        begun.add(key);
      }
      await sleep(OBSERVE_MS, signal);
      await warmUp(cache);
      for (const key of keys) {
        ready.add(key);
      }
      return true;
    },
    told: (policies) =>
      policies.map(({ phase, ...policy }) => ({
        ...policy,
        reached: phase === 'accept' && !ready.has(keyOf(policy)) ? 'none' : phase,
      })),
  };
}

const keyOf = ({ uid, generation }: Omit<PolicyRef, 'phase'>): string => `${uid}/${generation}`;
