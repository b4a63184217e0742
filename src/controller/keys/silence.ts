import { SILENT_MS } from '../../cluster/contract/heartbeat.ts';

/** Says which nodes are silent. */
export interface Silence {
  /** `lastHeartbeat`: as the IPsecNode has it now. */
  isSilent(node: string, lastHeartbeat: string): boolean;
  forgetAllBut(nodes: ReadonlySet<string>): void;
}

/**
 * A node is silent whose heartbeat has not changed for too long by `clock`, which is monotonic, and since
 * this process began to look: whoever sets the wall clock silences nobody.
 */
export function createSilence(clock: () => number): Silence {
  const seen = new Map<string, { readonly heartbeat: string; readonly at: number }>();
  return {
    isSilent(node, heartbeat) {
      const last = seen.get(node);
      const since = last?.heartbeat === heartbeat ? last.at : clock();
      seen.set(node, { heartbeat, at: since });
      return clock() - since > SILENT_MS;
    },
    forgetAllBut(nodes) {
      for (const node of [...seen.keys()].filter((name) => !nodes.has(name))) {
        seen.delete(node);
      }
    },
  };
}
