import test from 'ava';
import { createLease } from '../../src/controller/lease.ts';
import type { KubeClient, KubeRequest } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/error.ts';

/** One Lease with optimistic locking, as the API server keeps it. */
function fakeServer(): KubeClient & { lease: Record<string, unknown> | undefined; down: boolean } {
  let version = 0;
  const server = {
    lease: undefined as Record<string, unknown> | undefined,
    down: false,
    async request({ method = 'GET', body }: KubeRequest): Promise<unknown> {
      if (server.down) {
        throw new KubeError(0, '', 'connect ECONNREFUSED');
      }
      const sent = body as { metadata: { resourceVersion?: string } } & Record<string, unknown>;
      if (method === 'GET') {
        if (server.lease === undefined) {
          throw new KubeError(404, 'NotFound', 'not there');
        }
        return server.lease;
      }
      const current = server.lease?.metadata as { resourceVersion: string } | undefined;
      if (
        method === 'POST' ? current !== undefined : current?.resourceVersion !== sent.metadata.resourceVersion
      ) {
        throw new KubeError(409, 'Conflict', 'changed meanwhile');
      }
      version += 1;
      server.lease = { ...sent, metadata: { ...sent.metadata, resourceVersion: String(version) } };
      return server.lease;
    },
    async *watch() {},
  };
  return server;
}

const SECOND = 1_000;

test('one holds it, the other waits until it is not renewed for 15 s', async (t) => {
  const client = fakeServer();
  let now = 0;
  const of = (identity: string) =>
    createLease({ client, namespace: 'ns', name: 'l', identity, now: () => 0, clock: () => now });
  const [a, b] = [of('a'), of('b')];
  t.true(await a.hold());
  t.false(await b.hold());
  now = 10 * SECOND;
  t.true(await a.hold());
  now = 20 * SECOND;
  t.false(await b.hold(), 'it was renewed since b looked');
  now = 34 * SECOND;
  t.false(await b.hold());
  now = 36 * SECOND;
  t.true(await b.hold());
  t.false(await a.hold(), 'who had it finds it taken');
  t.like(client.lease?.spec as object, { holderIdentity: 'b', leaseTransitions: 1 });
});

test('one that is released is taken at once', async (t) => {
  const client = fakeServer();
  const of = (identity: string) =>
    createLease({ client, namespace: 'ns', name: 'l', identity, now: () => 0, clock: () => 0 });
  const [a, b] = [of('a'), of('b')];
  await a.hold();
  await a.release();
  t.true(await b.hold());
  await a.release();
  t.false(await a.hold(), 'nobody releases what another holds');
});

test('of two that take it at the same moment one has it', async (t) => {
  const client = fakeServer();
  const of = (identity: string) =>
    createLease({ client, namespace: 'ns', name: 'l', identity, now: () => 0, clock: () => 0 });
  t.deepEqual((await Promise.all([of('a').hold(), of('b').hold()])).sort(), [false, true]);
});

test('an API server that is away is no answer', async (t) => {
  const client = fakeServer();
  client.down = true;
  const lease = createLease({
    client,
    namespace: 'ns',
    name: 'l',
    identity: 'a',
    now: () => 0,
    clock: () => 0,
  });
  await t.throwsAsync(lease.hold(), { name: 'KubeError' });
});

test('the Lease of a dead holder is taken, whatever its times say and however our own clock is set', async (t) => {
  const client = fakeServer();
  const [clock, wall] = [{ now: 0 }, { now: Date.now() }];
  const lease = createLease({
    client,
    namespace: 'ns',
    name: 'l',
    identity: 'b',
    now: () => wall.now,
    clock: () => clock.now,
  });
  client.lease = {
    metadata: { resourceVersion: '1' },
    spec: {
      holderIdentity: 'dead',
      leaseDurationSeconds: 2 ** 31 - 1,
      leaseTransitions: 2 ** 31 - 1,
      renewTime: '2999-01-01T00:00:00.000000Z',
    },
  };
  t.false(await lease.hold());
  wall.now += 3_600_000;
  t.false(await lease.hold(), 'a clock that is set forward takes nothing');
  wall.now -= 86_400_000;
  clock.now = 15 * SECOND;
  t.true(await lease.hold());
  t.like(client.lease.spec as object, { holderIdentity: 'b', leaseTransitions: 0 });
});
