import * as z from 'zod';
import type { KubeClient } from '../kube/client.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';

/**
 * Tells a removal of the application from a restart of its pods. Both end the agent by SIGTERM, and only the
 * API server knows the difference.
 */
export interface Removal {
  /** True if the DaemonSet or its namespace is being deleted, or the DaemonSet is gone. */
  requested(): boolean;
  /** Watches until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const schema = z.object({ metadata: z.object({ deletionTimestamp: z.string().optional() }) });

/**
 * Watches the DaemonSet and its namespace. Only what was seen counts. An API server that is away, or does not
 * allow us to watch, says nothing: then what is in force stays in force.
 */
export function createRemoval(client: KubeClient, namespace: string, name: string): Removal {
  let wasSeen = false;
  const watch = (path: string, object: string): Reflector<boolean> =>
    createReflector({
      client,
      path,
      query: { fieldSelector: `metadata.name=${object}` },
      parse: (raw) => schema.parse(raw).metadata.deletionTimestamp !== undefined,
      onChange: () => {
        wasSeen = wasSeen || daemonSets.items.size > 0;
      },
    });
  const daemonSets = watch(`/apis/apps/v1/namespaces/${namespace}/daemonsets`, name);
  const namespaces = watch('/api/v1/namespaces', namespace);
  return {
    // As the objects are now: a DaemonSet that was deleted without its pods and made again is there.
    requested: () =>
      [...daemonSets.items.values(), ...namespaces.items.values()].includes(true) ||
      (wasSeen && daemonSets.items.size === 0),
    run: async (signal) => void (await Promise.all([daemonSets.run(signal), namespaces.run(signal)])),
  };
}
