import test from 'ava';
import type { Snapshot } from '../../../src/cluster/snapshot.ts';
import { kubernetesSource } from '../../../src/cluster/sources/kubernetes/source.ts';
import type { KubeClient, KubeRequest, WatchEvent } from '../../../src/kube/client.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { item, node, policy, service, slice } from '../../helpers/unit/objects.ts';

type Lists = Readonly<Record<string, readonly object[]>>;

/** An API server that has these lists, by the end of their path, and no event but the end of a watch (410). */
function server(lists: () => Lists): KubeClient & { asked: KubeRequest[]; expire(): void } {
  const asked: KubeRequest[] = [];
  let ends: (() => void)[] = [];
  return {
    asked,
    expire() {
      const all = ends;
      ends = [];
      for (const end of all) {
        end();
      }
    },
    async request(request) {
      asked.push(request);
      const list = request.path.split('/').at(-1) ?? '';
      const items = (lists()[list] ?? []).map((object) => {
        const { metadata, ...rest } = object as { metadata: object };
        return { ...rest, metadata: { ...metadata, resourceVersion: '1' } };
      });
      return { items, metadata: { resourceVersion: '1' } };
    },
    async *watch({ signal }, onOpen): AsyncGenerator<WatchEvent> {
      onOpen();
      await new Promise<void>((resolve, reject) => {
        signal?.addEventListener('abort', () => resolve());
        ends.push(() => reject(new KubeError(410, 'Expired', 'too old')));
      });
    },
  };
}

const world = {
  nodes: ['a', 'b', 'c'].map((name) => node(name)),
  services: [service('web', [{ port: 80 }])],
  ipsecpolicies: [policy({ name: 'p', uid: 'u' }, item('web', 'tcp/60-50'))],
  endpointslices: [slice('web', ['10.1.2.5'], [{ port: 80 }])],
};

test('slices are read of what is in force, though no item that can be read names it', async (t) => {
  const client = server(() => world);
  const abort = new AbortController();
  const inForce = (): { namespace: string; service: string }[] => [{ namespace: 'ns', service: 'web' }];
  for await (const { objects } of kubernetesSource({ client, nodeName: 'a' }).watch(abort.signal, inForce)) {
    t.is(objects.endpointSlices.length, 1);
    break;
  }
  abort.abort();
  t.true(client.asked.some(({ query }) => query?.labelSelector === 'kubernetes.io/service-name in (web)'));
});

test('what a new list lacks is told, and what cannot be read', async (t) => {
  let lists: Lists = { ...world, ipsecpolicies: [{ ...policy({ name: 'p' }), spec: { policies: 'x' } }] };
  const client = server(() => lists);
  const abort = new AbortController();
  const seen: Snapshot[] = [];
  for await (const snapshot of kubernetesSource({ client, nodeName: 'a' }).watch(abort.signal)) {
    seen.push(snapshot);
    if (seen.length === 1) {
      lists = { ...lists, nodes: [node('a')] };
      client.expire();
    }
    if (snapshot.objects.nodes.length === 1) {
      break;
    }
  }
  abort.abort();
  t.deepEqual([...(seen[0]?.unread?.policies ?? [])], ['p']);
  t.is(seen[0]?.missing?.nodes, undefined);
  t.deepEqual([...(seen.at(-1)?.missing?.nodes ?? [])], ['b', 'c']);
});

const lacking = test.macro({
  async exec(t, after: object, endpointslices: object[], expected: readonly string[] | undefined) {
    let lists: Lists = { ...world, ipsecpolicies: [policy({ name: 'p' }, item('web', 'tcp/80'))] };
    const client = server(() => lists);
    const abort = new AbortController();
    let changed = false;
    for await (const { objects, missing } of kubernetesSource({ client, nodeName: 'a' }).watch(
      abort.signal,
    )) {
      if (!changed) {
        changed = true;
        lists = { ...lists, ipsecpolicies: [after], endpointslices };
        client.expire();
      } else if (objects.endpointSlices.length === 0) {
        t.deepEqual(missing?.endpointSlices && [...missing.endpointSlices], expected);
        break;
      }
    }
    abort.abort();
  },
  title: (given) => `another watch of slices finds none: ${given}`,
});
const every = item('x', 'tcp/80', { servicename: '*' });
test('of what it should find, too', lacking, policy({ name: 'p' }, every), [], ['ns/web-1']);
const db = item('db', 'tcp/80');
test('and should not', lacking, policy({ name: 'p' }, db), world.endpointslices, undefined);
