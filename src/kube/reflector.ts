import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../util/message-of.ts';
import type { KubeClient, WatchEvent } from './client.ts';
import { isExpired, isNotFound, isUnreachable } from './error.ts';
import { createKept, type Parse } from './kept.ts';
import { bookmarkSchema, FIRST_PAGE, identityOf, nextLimit, pageSchema } from './page.ts';

/** Follows the objects of one kind on the API server. */
export interface Reflector<T> {
  /** By `namespace/name`. An object that cannot be parsed any more keeps its last good value here. */
  readonly items: ReadonlyMap<string, T>;
  /** By `namespace/name`: why an object is not understood, or not as a whole. */
  readonly problems: ReadonlyMap<string, string>;
  /** By `namespace/name`: objects that a new list lacked, and that nobody has seen deleted. */
  readonly missing: ReadonlySet<string>;
  /** Another number whenever items or problems have changed. */
  readonly version: number;
  /** Whether the first list is in. */
  readonly synced: boolean;
  /** Empty while the API server answers, otherwise why it does not, or what it refuses. */
  readonly error: string;
  /** Follows the API server until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

export interface ReflectorOptions<T> {
  readonly client: KubeClient;
  /** `/api/v1/nodes` */
  readonly path: string;
  /** labelSelector, fieldSelector */
  readonly query?: Readonly<Record<string, string>>;
  readonly parse: Parse<T>;
  /** What of a value is not in force as written; empty if all of it is. */
  readonly flawOf?: (value: T) => string;
  /** Items, problems, `synced` or `error` have changed. */
  readonly onChange: () => void;
  /** Gets each object of which a watch tells that it was deleted. One that a list lacks is not among them. */
  readonly onDeleted?: (raw: unknown) => void;
  /** True if a cluster may lack the resource: that is no error then, and there are no objects of it. */
  readonly optional?: boolean;
  readonly random?: () => number;
}

/** How often a resource that does not exist is looked for again. */
const ABSENT_MS = 60_000;
const FIRST_BACKOFF_MS = 500;
/**
 * Longest backoff while there is no answer: attempts cost little, and an API server that comes back should be
 * noticed soon.
 */
const UNREACHABLE_MS = 2_500;
/** Longest backoff while the API server answers with an error: it may be overloaded. */
const REFUSED_MS = 20_000;
/**
 * The server is asked to end a watch after about this many seconds. The time is random, so that a thousand
 * agents do not come back together.
 */
const WATCH_SECONDS = 600;

/**
 * Lists the objects, then watches from there. When a watch ends, the next one goes on where it was, thanks to
 * bookmarks; there is another list only if the server has forgotten that point (410). Errors are retried with
 * backoff and jitter, and objects stay as they are meanwhile.
 */
export function createReflector<T>(options: ReflectorOptions<T>): Reflector<T> {
  const { client, path, query = {}, onChange, optional = false, random = Math.random } = options;
  const kept = createKept(options.parse, options.flawOf);
  const state = { synced: false, error: '' };
  let version = '';
  let backoff = FIRST_BACKOFF_MS;
  /** Whether the last error was an answer. */
  let refused = false;

  const list = async (signal: AbortSignal): Promise<void> => {
    const seen = new Set<string>();
    let changed = !state.synced;
    let next: string | undefined;
    let listed = '';
    let limit = FIRST_PAGE;
    do {
      let bytes = 0;
      const page = pageSchema.parse(
        await client.request({
          path,
          query: { ...query, limit: String(limit), ...(next === undefined ? {} : { continue: next }) },
          onSize: (size) => {
            bytes = size;
          },
          signal,
        }),
      );
      const items = page.items ?? [];
      for (const raw of items) {
        const { key } = identityOf(raw) ?? {};
        if (key !== undefined) {
          seen.add(key);
          changed = kept.put(key, raw) || changed;
        }
      }
      limit = nextLimit(items.length, bytes);
      next = page.metadata.continue || undefined;
      listed = page.metadata.resourceVersion;
    } while (next !== undefined);
    changed = kept.removeAllBut(seen) || changed;
    state.synced = true;
    // Only after the last page: a watch that begins after half a list would never bring the rest.
    version = listed;
    if (changed) {
      onChange();
    }
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    const seconds = Math.round(WATCH_SECONDS * (0.75 + 0.5 * random()));
    const watch = client.watch(
      { path, query: { ...query, resourceVersion: version, timeoutSeconds: String(seconds) }, signal },
      () => setError(''),
    );
    for await (const event of watch) {
      backoff = FIRST_BACKOFF_MS;
      if (take(event)) {
        onChange();
      }
    }
  };

  const take = ({ type, object }: WatchEvent): boolean => {
    if (type === 'BOOKMARK') {
      version = bookmarkSchema.parse(object).metadata.resourceVersion;
      return false;
    }
    const identity = identityOf(object);
    if (identity === undefined) {
      return false;
    }
    version = identity.resourceVersion === '' ? version : identity.resourceVersion;
    if (type === 'DELETED') {
      options.onDeleted?.(object);
    }
    return type === 'DELETED' ? kept.remove(identity.key) : kept.put(identity.key, object);
  };

  /** The resource does not exist: there are no objects, which is no error. */
  const empty = (): void => {
    const changed = kept.removeAllBut(new Set()) || !state.synced || state.error !== '';
    state.synced = true;
    state.error = '';
    if (changed) {
      onChange();
    }
  };

  const setError = (error: string): void => {
    if (state.error !== error) {
      state.error = error;
      onChange();
    }
  };

  return {
    get items() {
      return kept.items;
    },
    get problems() {
      return kept.problems;
    },
    get missing() {
      return kept.missing;
    },
    get version() {
      return kept.version;
    },
    get synced() {
      return state.synced;
    },
    get error() {
      return state.error;
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          if (version === '') {
            await list(signal);
          }
          await follow(signal);
        } catch (error) {
          if (signal.aborted) {
            return;
          }
          if (optional && isNotFound(error)) {
            version = '';
            empty();
            await delay(ABSENT_MS * (0.5 + random()), undefined, { signal }).catch(() => undefined);
            continue;
          }
          if (isExpired(error)) {
            version = '';
          } else {
            setError(messageOf(error));
          }
          const answered = !isUnreachable(error);
          // Backoff begins anew when an API server comes up: it refuses for a moment, which is no overload.
          backoff = answered === refused ? backoff : FIRST_BACKOFF_MS;
          refused = answered;
          const pause = backoff * (0.5 + random());
          backoff = Math.min(2 * backoff, answered ? REFUSED_MS : UNREACHABLE_MS);
          await delay(pause, undefined, { signal }).catch(() => undefined);
        }
      }
    },
  };
}
