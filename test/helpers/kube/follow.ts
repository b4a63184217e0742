import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { Snapshot } from '../../../src/cluster/snapshot.ts';
import { kubernetesSource } from '../../../src/cluster/sources/kubernetes/source.ts';
import type { KubeClient, KubeRequest } from '../../../src/kube/client.ts';
import { cluster } from '../unit/objects.ts';
import type { ApiServer } from './apiserver.ts';

/** A node's source, followed. */
export interface Followed {
  /** The newest snapshot. */
  readonly last: () => Snapshot;
  /** How many there were. */
  readonly count: () => number;
  readonly until: (what: string, holds: (snapshot: Snapshot) => boolean) => Promise<number>;
  /** Requests since the last call. */
  readonly requests: () => string[];
}

/** Follows what the source of node `a` says, until the test ends. */
export function follow(t: ExecutionContext, { client }: ApiServer): Followed {
  const abort = new AbortController();
  const snapshots: Snapshot[] = [];
  const requests: string[] = [];
  const note = ({ path, query }: KubeRequest): void =>
    void requests.push(`${path} ${query?.watch ?? ''}${query?.labelSelector ?? ''}`);
  const counted: KubeClient = {
    request: (request) => {
      note(request);
      return client.request(request);
    },
    watch: (request, onOpen) => {
      note({ ...request, query: { ...request.query, watch: 'watch ' } });
      return client.watch(request, onOpen);
    },
  };
  const running = (async () => {
    for await (const snapshot of kubernetesSource({ client: counted, nodeName: 'a' }).watch(abort.signal)) {
      snapshots.push(snapshot);
    }
  })();
  t.teardown(async () => {
    abort.abort();
    await running;
  });
  return {
    last: () =>
      snapshots.at(-1) ?? {
        objects: cluster({ nodes: [] }),
        problems: [],
        stale: 'none yet',
      },
    count: () => snapshots.length,
    async until(what, holds) {
      const started = Date.now();
      for (;;) {
        const last = snapshots.at(-1);
        if (last !== undefined && holds(last)) {
          return Date.now() - started;
        }
        if (Date.now() - started > 30_000) {
          throw new Error(`${what}: ${JSON.stringify(last)?.slice(0, 500)}`);
        }
        await sleep(10);
      }
    },
    requests: () => requests.splice(0),
  };
}
