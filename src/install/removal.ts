import * as z from 'zod';
import type { KubeClient } from '../kube/client.ts';
import { isNotFound } from '../kube/error.ts';
import { createReflector } from '../kube/reflector.ts';

/**
 * Tells a removal of the application from a restart of its pods. Both end the agent by SIGTERM, and only the
 * API server knows the difference.
 */
export interface Removal {
  /** True if the DaemonSet or its namespace was seen being deleted, or the DaemonSet was deleted. */
  requested(): boolean;
  /** Watches until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const schema = z.object({
  metadata: z.object({
    uid: z.string().min(1),
    resourceVersion: z.string(),
    deletionTimestamp: z.string().optional(),
  }),
});
const listSchema = z.object({ metadata: z.object({ resourceVersion: z.string() }) });

interface Seen {
  readonly uid: string;
  readonly version: string;
  readonly deleting: boolean;
}

function seenOf(raw: unknown): Seen | string {
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    return z.prettifyError(parsed.error);
  }
  const { uid, resourceVersion, deletionTimestamp } = parsed.data.metadata;
  return { uid, version: resourceVersion, deleting: deletionTimestamp !== undefined };
}

/**
 * Watches the DaemonSet and its namespace. Only what was seen counts: an object with a deletionTimestamp, or
 * the end of the very DaemonSet that was seen before. An API server that is away, does not allow us to watch,
 * lists nothing, or was restored from a time before the DaemonSet, says nothing: then what is in force stays
 * in force.
 */
export function createRemoval(client: KubeClient, namespace: string, name: string): Removal {
  const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets`;
  const query = { fieldSelector: `metadata.name=${name}` };
  /** The DaemonSet as it was last seen, and whether that one has been deleted since. */
  let last: Seen | undefined;
  let deleted = false;
  let asking = false;

  const daemonSets = createReflector({
    client,
    path,
    query,
    parse: seenOf,
    onChange: () => {
      const [now] = daemonSets.items.values();
      if (now !== undefined) {
        // One that was deleted without its pods and made again is there.
        deleted = deleted && now.uid === last?.uid;
        last = now;
      }
    },
    onDeleted: (raw) => {
      const gone = seenOf(raw);
      deleted ||= typeof gone !== 'string' && gone.uid === last?.uid;
    },
  });
  const namespaces = createReflector({
    client,
    path: '/api/v1/namespaces',
    query: { fieldSelector: `metadata.name=${namespace}` },
    parse: seenOf,
    onChange: () => {},
  });

  /** A list lacks the DaemonSet, and no watch has told of its end: it may have been deleted in between. */
  const ask = async ({ uid, version }: Seen): Promise<void> => {
    try {
      const list = listSchema.parse(await client.request({ path, query: { ...query, limit: '1' } }));
      // An earlier version than what was seen: the API server was restored from a backup.
      if (!isLater(list.metadata.resourceVersion, version)) {
        return;
      }
      await client.request({ path: `${path}/${name}` });
    } catch (error) {
      deleted ||= isNotFound(error) && last?.uid === uid && daemonSets.items.size === 0;
    }
  };

  return {
    requested: () => {
      const [now] = daemonSets.items.values();
      if (now === undefined && last !== undefined && !deleted && !asking) {
        asking = true;
        void ask(last).finally(() => {
          asking = false;
        });
      }
      return (
        deleted || now?.deleting === true || [...namespaces.items.values()].some(({ deleting }) => deleting)
      );
    },
    run: async (signal) => void (await Promise.all([daemonSets.run(signal), namespaces.run(signal)])),
  };
}

/**
 * Whether a resourceVersion is later than another. They are numbers that grow; what is no number is not
 * later.
 */
function isLater(version: string, than: string): boolean {
  return /^\d+$/.test(version) && /^\d+$/.test(than) && BigInt(version) > BigInt(than);
}
