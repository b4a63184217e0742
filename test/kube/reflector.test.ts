import test from 'ava';
import type { KubeClient, KubeRequest, WatchEvent } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/error.ts';
import { createReflector } from '../../src/kube/reflector.ts';

const object = (name: string): object => ({ metadata: { name, resourceVersion: '5' } });

/** Lists from a script, an error or a page at a time; watches stay open and silent. */
function scripted(...answers: readonly (object | KubeError)[]): KubeClient & { asked: KubeRequest[] } {
  const rest = [...answers];
  const asked: KubeRequest[] = [];
  return {
    asked,
    async request(request) {
      asked.push(request);
      const answer = rest.shift();
      if (answer === undefined || answer instanceof KubeError) {
        throw answer ?? new KubeError(0, '', 'nothing more');
      }
      return answer;
    },
    async *watch({ signal }, onOpen): AsyncGenerator<WatchEvent> {
      onOpen();
      await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
    },
  };
}

test('a list that breaks off is begun again: no watch starts from half of it', async (t) => {
  const first = { items: [object('a')], metadata: { resourceVersion: '5', continue: 'next' } };
  const last = { items: [object('b')], metadata: { resourceVersion: '6' } };
  const client = scripted(first, new KubeError(0, '', 'connection reset'), first, last);
  const abort = new AbortController();
  const reflector = createReflector({
    client,
    path: '/api/v1/nodes',
    parse: (raw) => raw as object,
    onChange: () => undefined,
    random: () => 0,
  });
  const running = reflector.run(abort.signal);
  const deadline = Date.now() + 5_000;
  while (!reflector.synced && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  abort.abort();
  await running;
  t.true(reflector.synced);
  t.deepEqual([...reflector.items.keys()], ['/a', '/b']);
  t.is(client.asked.length, 4);
});

test('pages go by their size: the larger the objects, the fewer to a page', async (t) => {
  const MIB = 1_024 * 1_024;
  const sizes = [5 * MIB, 0.1 * MIB, 1_000];
  const limits: (string | undefined)[] = [];
  const client: KubeClient = {
    watch: async function* (): AsyncGenerator<WatchEvent> {
      yield* [];
    },
    async request({ query, onSize }) {
      const index = limits.push(query?.limit) - 1;
      onSize?.(sizes[index] ?? 0);
      const items = Array.from({ length: Number(query?.limit) }, (_, number) => object(`${index}-${number}`));
      const more = index < sizes.length ? { continue: 'next' } : {};
      return { items, metadata: { resourceVersion: '5', ...more } };
    },
  };
  const abort = new AbortController();
  const reflector = createReflector({ client, path: '/x', parse: String, onChange: () => abort.abort() });
  await reflector.run(abort.signal);
  t.deepEqual(limits, ['20', '2', '10', '500']);
});

test('an object without a name ends neither a list nor a watch', async (t) => {
  const abort = new AbortController();
  const client: KubeClient = {
    ...scripted(),
    request: async () => ({
      items: [null, 7, { metadata: { name: 5 } }, object('a')],
      metadata: { resourceVersion: '5' },
    }),
    async *watch(_, onOpen): AsyncGenerator<WatchEvent> {
      onOpen();
      yield { type: 'ADDED', object: { metadata: null } };
      yield { type: 'DELETED', object: 'x' };
      yield { type: 'ADDED', object: { metadata: { name: 'b', resourceVersion: 6 } } };
      abort.abort();
    },
  };
  const reflector = createReflector({
    client,
    path: '/x',
    parse: (raw) => raw as object,
    onChange: () => undefined,
  });
  await reflector.run(abort.signal);
  t.deepEqual([[...reflector.items.keys()], reflector.error], [['/a', '/b'], '']);
});
