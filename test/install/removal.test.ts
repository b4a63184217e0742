import test from 'ava';
import { createRemoval } from '../../src/install/removal.ts';
import type { KubeClient, KubeRequest, WatchEvent } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/error.ts';

/** An API server with a DaemonSet and a namespace, whose watches the test feeds. */
function fakeServer(present: { readonly daemonSet: boolean; readonly forbidden?: boolean }) {
  const feeds = new Map<string, (event: WatchEvent) => void>();
  const object = (name: string, deleted = false): object => ({
    metadata: {
      name,
      resourceVersion: '1',
      ...(deleted ? { deletionTimestamp: '2026-11-21T00:00:00Z' } : {}),
    },
  });
  const client: KubeClient = {
    async request({ path }: KubeRequest) {
      if (present.forbidden === true) {
        throw new KubeError(403, 'Forbidden', 'forbidden');
      }
      const items = path.includes('daemonsets')
        ? present.daemonSet
          ? [object('trapline')]
          : []
        : [object('ns')];
      return { items, metadata: { resourceVersion: '1' } };
    },
    async *watch({ path, signal }, onOpen) {
      onOpen();
      for (;;) {
        const next = Promise.withResolvers<WatchEvent | undefined>();
        feeds.set(path.includes('daemonsets') ? 'daemonSet' : 'namespace', next.resolve);
        signal?.addEventListener('abort', () => next.resolve(undefined));
        const event = await next.promise;
        if (event === undefined) {
          return;
        }
        yield event;
      }
    },
  };
  return {
    client,
    object,
    feed: (what: 'daemonSet' | 'namespace', event: WatchEvent) => feeds.get(what)?.(event),
  };
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

async function started(server: ReturnType<typeof fakeServer>) {
  const abort = new AbortController();
  const removal = createRemoval(server.client, 'ns', 'trapline');
  const running = removal.run(abort.signal);
  await settle();
  return {
    removal,
    async stop() {
      abort.abort();
      await running;
    },
  };
}

test('a DaemonSet that is deleted is a removal, one made anew is none', async (t) => {
  const server = fakeServer({ daemonSet: true });
  const { removal, stop } = await started(server);
  t.false(removal.requested());
  server.feed('daemonSet', { type: 'DELETED', object: server.object('trapline', true) });
  await settle();
  t.true(removal.requested());
  server.feed('daemonSet', { type: 'ADDED', object: server.object('trapline') });
  await settle();
  t.false(removal.requested());
  await stop();
});

test('a namespace that is being deleted is a removal', async (t) => {
  const server = fakeServer({ daemonSet: true });
  const { removal, stop } = await started(server);
  server.feed('namespace', { type: 'MODIFIED', object: server.object('ns', true) });
  await settle();
  t.true(removal.requested());
  await stop();
});

test('a DaemonSet that was never there is no removal, nor one that we may not see', async (t) => {
  for (const present of [{ daemonSet: false }, { daemonSet: true, forbidden: true }]) {
    const { removal, stop } = await started(fakeServer(present));
    t.false(removal.requested());
    await stop();
  }
});
