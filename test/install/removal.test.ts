import test from 'ava';
import { createRemoval } from '../../src/install/removal.ts';
import type { KubeClient, KubeRequest, WatchEvent } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/error.ts';

interface Server {
  daemonSet: boolean;
  forbidden?: boolean;
  /** Of a list. */
  version?: number;
  /** Whether the DaemonSet is found by its name, or an error; by default as it is listed. */
  byName?: boolean | number;
}

/** An API server with a DaemonSet and a namespace, whose watches the test feeds. */
function fakeServer(server: Server) {
  const feeds = new Map<string, (event: WatchEvent | Error) => void>();
  const object = (name: string, { deleted = false, uid = 'u1' } = {}): object => ({
    metadata: {
      name,
      uid,
      resourceVersion: '5',
      ...(deleted ? { deletionTimestamp: '2026-11-21T00:00:00Z' } : {}),
    },
  });
  const client: KubeClient = {
    async request({ path }: KubeRequest) {
      if (server.forbidden === true) {
        throw new KubeError(403, 'Forbidden', 'forbidden');
      }
      if (path.endsWith('/daemonsets/trapline')) {
        const found = server.byName ?? server.daemonSet;
        if (typeof found === 'number') {
          throw new KubeError(found, '', 'no answer');
        }
        if (found) {
          return object('trapline');
        }
        throw new KubeError(404, 'NotFound', 'not there');
      }
      const items = path.includes('daemonsets')
        ? server.daemonSet
          ? [object('trapline')]
          : []
        : [object('ns')];
      return { items, metadata: { resourceVersion: String(server.version ?? 5) } };
    },
    async *watch({ path, signal }, onOpen) {
      onOpen();
      for (;;) {
        const next = Promise.withResolvers<WatchEvent | Error | undefined>();
        feeds.set(path.includes('daemonsets') ? 'daemonSet' : 'namespace', next.resolve);
        signal?.addEventListener('abort', () => next.resolve(undefined));
        const event = await next.promise;
        if (event === undefined) {
          return;
        }
        if (event instanceof Error) {
          throw event;
        }
        yield event;
      }
    },
  };
  return {
    client,
    object,
    feed: (what: 'daemonSet' | 'namespace', event: WatchEvent | Error) => feeds.get(what)?.(event),
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
  server.feed('daemonSet', { type: 'DELETED', object: server.object('trapline', { deleted: true }) });
  await settle();
  t.true(removal.requested());
  server.feed('daemonSet', { type: 'ADDED', object: server.object('trapline', { uid: 'u2' }) });
  await settle();
  t.false(removal.requested());
  await stop();
});

test('a namespace that is being deleted is a removal', async (t) => {
  const server = fakeServer({ daemonSet: true });
  const { removal, stop } = await started(server);
  server.feed('namespace', { type: 'MODIFIED', object: server.object('ns', { deleted: true }) });
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

/** As after a watch that was too old: the DaemonSet was seen, and is not listed any more. */
async function relisted(after: Omit<Server, 'daemonSet'>) {
  const state: Server = { daemonSet: true };
  const server = fakeServer(state);
  const found = await started(server);
  found.removal.requested();
  Object.assign(state, { daemonSet: false, ...after });
  server.feed('daemonSet', new KubeError(410, 'Expired', 'too old'));
  // The next list comes after a pause of up to 750 ms.
  for (let waited = 0; waited < 1_500 && !found.removal.requested(); waited += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return found;
}

test('a list without the DaemonSet counts only if it is not found by name either', async (t) => {
  const { removal, stop } = await relisted({ version: 9 });
  t.true(removal.requested());
  await stop();
});

test('an empty list is no removal: the DaemonSet is there, nobody may ask, or a backup was restored', async (t) => {
  const cases = [
    { version: 9, byName: true },
    { version: 9, byName: 403 },
    { version: 9, byName: 0 },
    { version: 9, byName: 500 },
    { version: 9, forbidden: true },
    { version: 4 },
    { version: 5 },
  ];
  for (const after of cases) {
    const { removal, stop } = await relisted(after);
    t.false(removal.requested(), JSON.stringify(after));
    await stop();
  }
});

test('the end of another DaemonSet than the one that was seen is no removal', async (t) => {
  const server = fakeServer({ daemonSet: true });
  const { removal, stop } = await started(server);
  server.feed('daemonSet', { type: 'DELETED', object: server.object('trapline', { uid: 'u0' }) });
  await settle();
  t.false(removal.requested());
  await stop();
});
