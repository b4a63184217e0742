import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { Snapshot } from '../../../../src/cluster/snapshot.ts';
import { kubernetesSource } from '../../../../src/cluster/sources/kubernetes/source.ts';
import type { KubeClient, WatchEvent } from '../../../../src/kube/client.ts';
import { item, policy, slice } from '../../../helpers/unit/objects.ts';

const inNamespace = (namespace: string, index: number) => {
  const one = slice('web', [`10.1.2.${index}`], [{ port: 80 }]);
  return { ...one, metadata: { ...one.metadata, namespace, resourceVersion: '5' } };
};

test('slices of Services that no policy names are not kept, until one names them', async (t) => {
  const named = (generation: number, ...namespaces: readonly string[]): object => {
    const items = namespaces.map((servicens, index) =>
      item(`web-${index}`, 'tcp/80', { servicename: 'web', servicens }),
    );
    return policy({ name: 'p', generation, ...{ resourceVersion: '5' } }, ...items);
  };
  let change: (event: WatchEvent) => void = () => undefined;
  const changed = new Promise<WatchEvent>((resolve) => {
    change = resolve;
  });
  const client: KubeClient = {
    async request({ path }) {
      const items = path.endsWith('/ipsecpolicies')
        ? [named(1, 'ns')]
        : path.endsWith('/endpointslices')
          ? [inNamespace('ns', 1), inNamespace('other', 2), inNamespace('third', 3)]
          : [];
      return { items, metadata: { resourceVersion: '5' } };
    },
    async *watch({ path, signal }, onOpen): AsyncGenerator<WatchEvent> {
      onOpen();
      if (path.endsWith('/ipsecpolicies')) {
        yield await changed;
      }
      if (path.endsWith('/endpointslices')) {
        yield { type: 'MODIFIED', object: inNamespace('third', 4) };
      }
      await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
    },
  };
  const abort = new AbortController();
  const seen: string[] = [];
  const told = ({ objects }: Snapshot): string =>
    objects.endpointSlices.map(({ metadata }) => metadata.namespace).join();
  const running = (async () => {
    for await (const snapshot of kubernetesSource({ client, nodeName: null }).watch(abort.signal)) {
      if (seen.at(-1) !== told(snapshot)) {
        seen.push(told(snapshot));
      }
    }
  })();
  const until = async (last: string): Promise<void> => {
    for (const deadline = Date.now() + 10_000; seen.at(-1) !== last && Date.now() < deadline; ) {
      await sleep(10);
    }
  };
  await until('ns');
  change({ type: 'MODIFIED', object: named(2, 'ns', 'other') });
  await until('ns,other');
  abort.abort();
  await running;
  t.deepEqual(seen, ['ns', 'ns,other']);
});
