import * as z from 'zod';
import type { KubeClient } from '../kube/client.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';

/** Tells a removal of the application from a restart of its pods: an end by SIGTERM looks the same. */
export interface Removal {
  /** The DaemonSet or its namespace is being deleted, or is gone. */
  requested(): boolean;
  /** Watches until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const schema = z.object({ metadata: z.object({ deletionTimestamp: z.string().optional() }) });

/**
 * Watches the DaemonSet and its namespace. Only what was seen counts: an API server that is away, or that forbids us to look, says nothing, and
 * what is in force stays in force.
 */
export function createRemoval(client: KubeClient, namespace: string, name: string): Removal {
  let known = false;
  const watch = (path: string, object: string): Reflector<boolean> =>
    createReflector({
      client,
      path,
      query: { fieldSelector: `metadata.name=${object}` },
      parse: (raw) => schema.parse(raw).metadata.deletionTimestamp !== undefined,
      onChange: () => {
        known = known || daemonSets.items.size > 0;
      },
    });
  const daemonSets = watch(`/apis/apps/v1/namespaces/${namespace}/daemonsets`, name);
  const namespaces = watch('/api/v1/namespaces', namespace);
  return {
    // As it is now: one that was orphaned and made anew is there.
    requested: () =>
      [...daemonSets.items.values(), ...namespaces.items.values()].includes(true) ||
      (known && daemonSets.items.size === 0),
    run: async (signal) => void (await Promise.all([daemonSets.run(signal), namespaces.run(signal)])),
  };
}
