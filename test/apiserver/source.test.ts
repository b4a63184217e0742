import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from '../../src/cluster/snapshot.ts';
import { kubernetesSource } from '../../src/cluster/sources/kubernetes/source.ts';
import { type KubeClient, MERGE_PATCH } from '../../src/kube/client.ts';
import type { ApiServer } from '../helpers/kube/apiserver.ts';
import { apiserverTest } from '../helpers/kube/apiserver-test.ts';
import { follow } from '../helpers/kube/follow.ts';
import {
  type Creation,
  createAll,
  item,
  namespace,
  node,
  pod,
  policy,
  service,
  slice,
} from '../helpers/kube/objects.ts';

const names = (list: readonly { readonly metadata: { readonly name: string } }[]): string[] =>
  list.map(({ metadata }) => metadata.name).sort();
const inForce = ({ stale }: Snapshot): boolean => stale === '';

const seed: readonly Creation[] = [
  namespace('ns'),
  node('a', '10.1.1.0/24', '192.0.2.1'),
  node('b', '10.1.2.0/24', '192.0.2.2'),
  service('ns', 'web'),
  service('ns', 'db'),
  slice('ns', 'web-1', { service: 'web', address: '10.1.2.9', nodeName: 'b', port: 80 }),
  slice('ns', 'db-1', { service: 'db', address: '10.1.2.8', nodeName: 'b', port: 80 }),
];

async function createInOrder({ client }: ApiServer, list: readonly Creation[]): Promise<void> {
  for (const creation of list) {
    await createAll(client, [creation]);
  }
}

apiserverTest('source: what the node needs, as it changes', async (t, server) => {
  await createInOrder(server, [...seed, policy('p', [item('web')])]);
  const source = follow(t, server);
  await source.until('first', inForce);
  t.is(source.last().problems.length, 0);
  t.deepEqual(names(source.last().objects.nodes), ['a', 'b']);
  t.deepEqual(names(source.last().objects.endpointSlices), ['web-1'], 'slices of protected services alone');
  t.true(
    source
      .requests()
      .some((request) => request.includes('endpointslices kubernetes.io/service-name in (web)')),
  );

  await createAll(server.client, [
    pod('ns', 'web-a', 'a', { app: 'web' }),
    pod('ns', 'web-b', 'b', { app: 'web' }),
  ]);
  await source.until('pods of this node', ({ objects }) => names(objects.pods).join() === 'web-a');

  const policies = '/apis/starlingx.io/v1/ipsecpolicies';
  const change = (path: string, body: object): Promise<unknown> =>
    server.client.request({ method: 'PATCH', path, body, contentType: MERGE_PATCH });
  await change(`${policies}/p`, { spec: { policies: [item('web'), item('db')] } });
  await source.until(
    'slices of a service that is protected now',
    ({ objects, stale }) => stale === '' && names(objects.endpointSlices).join() === 'db-1,web-1',
  );
  await change(`${policies}/p`, { spec: { policies: [item('all', '*', { servicename: '*' })] } });
  await source.until(
    'all slices of a namespace',
    ({ objects, stale }) => stale === '' && names(objects.endpointSlices).length === 2,
  );

  const ipsecNodes = '/apis/trapline.io/v1alpha1/ipsecnodes';
  for (const [name, labels] of [
    ['lender', { 'trapline.io/lends': 'true' }],
    ['other', {}],
  ] as const) {
    const body = { apiVersion: 'trapline.io/v1alpha1', kind: 'IPsecNode', metadata: { name, labels } };
    await server.client.request({ method: 'POST', path: ipsecNodes, body });
    const status = { addressesOutside: ['10.9.9.9'], lastHeartbeat: '2026-11-21T12:00:00Z' };
    await change(`${ipsecNodes}/${name}/status`, { status });
  }
  await source.until(
    'the IPsecNodes that lend, without their heartbeats',
    ({ objects }) =>
      JSON.stringify(objects.ipsecNodes?.map(({ metadata, status }) => [metadata, status])) ===
      '[[{"name":"lender"},{"addressesOutside":["10.9.9.9"]}]]',
  );

  await change('/api/v1/namespaces/ns/services/web', { spec: { ports: [{ port: 81 }] } });
  await source.until('a service changes', ({ objects }) =>
    JSON.stringify(objects.services).includes('"port":81'),
  );
  await server.client.request({ method: 'DELETE', path: '/api/v1/nodes/b' });
  await source.until('a node goes', ({ objects }) => names(objects.nodes).join() === 'a');
  await server.client.request({ method: 'DELETE', path: `${policies}/p` });
  await source.until(
    'the policy goes, and its slices',
    ({ objects }) => objects.policies.length + objects.endpointSlices.length === 0,
  );
});

/** As Calico's own, as far as the API server looks at it. */
const BLOCK_AFFINITIES = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'blockaffinities.crd.projectcalico.org' },
  spec: {
    group: 'crd.projectcalico.org',
    scope: 'Cluster',
    names: {
      kind: 'BlockAffinity',
      plural: 'blockaffinities',
      singular: 'blockaffinity',
      listKind: 'BlockAffinityList',
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

apiserverTest("source: Calico's blocks are read where there are any", async (t, server) => {
  await server.kubectl(['apply', '-f', '-'], JSON.stringify(BLOCK_AFFINITIES));
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  await createInOrder(server, [...seed, policy('p', [item('web')])]);
  const source = follow(t, server);
  await source.until('first', inForce);
  t.deepEqual(source.last().objects.blockAffinities, []);
  const spec = { node: 'b', cidr: '10.9.0.0/26', state: 'confirmed', deleted: 'false' };
  const block = {
    apiVersion: 'crd.projectcalico.org/v1',
    kind: 'BlockAffinity',
    metadata: { name: 'b-1' },
    spec,
  };
  await server.kubectl(['apply', '-f', '-'], JSON.stringify(block));
  await source.until('a block', ({ objects }) => objects.blockAffinities?.[0]?.spec.cidr === '10.9.0.0/26');
});

apiserverTest('source: a burst is a few snapshots, and what changes nothing is none', async (t, server) => {
  await createInOrder(server, [...seed, policy('p', [item('web')])]);
  const source = follow(t, server);
  await source.until('first', inForce);
  const before = source.count();
  await createAll(
    server.client,
    Array.from({ length: 200 }, (_, index) => pod('ns', `web-${index}`, 'a', { app: 'web' })),
  );
  const ms = await source.until('200 pods', ({ objects }) => objects.pods.length === 200);
  const [snapshots, quiet] = [source.count() - before, source.count()];
  t.log(`${snapshots} snapshots for 200 events; the last ${ms} ms after the last event`);
  t.true(snapshots < 100);

  for (let beat = 0; beat < 5; beat += 1) {
    const body = { metadata: { annotations: { heartbeat: String(beat) } }, status: { daemonEndpoints: {} } };
    await server.client.request({
      method: 'PATCH',
      path: '/api/v1/nodes/b/status',
      body: { ...body, status: { phase: 'Running' } },
      contentType: MERGE_PATCH,
    });
  }
  await sleep(500);
  t.true(source.count() - quiet <= 6);
});

apiserverTest(
  'source: an outage of the API server leaves what is known, and it goes on afterwards',
  async (t, server) => {
    await createInOrder(server, [...seed, policy('p', [item('web')])]);
    const source = follow(t, server);
    await source.until('first', inForce);
    source.requests();
    await server.kill();
    await source.until('it is said', ({ stale }) => stale !== '');
    t.regex(source.last().stale, /ECONNREFUSED|socket|terminated|other side closed/);
    t.deepEqual(names(source.last().objects.nodes), ['a', 'b'], 'what was known stays');
    await sleep(3_000);
    t.true(source.requests().length < 60, 'tries are spaced');

    await server.start();
    await createAll(server.client, [node('c', '10.1.3.0/24', '192.0.2.3')]);
    const ms = await source.until(
      'back',
      ({ objects, stale }) => stale === '' && names(objects.nodes).join() === 'a,b,c',
    );
    t.log(`in sync ${ms} ms after the API server was ready`);
    await createAll(server.client, [pod('ns', 'web-a', 'a', { app: 'web' })]);
    await source.until('and follows', ({ objects }) => objects.pods.length === 1);
  },
);

apiserverTest('source: a resourceVersion that is forgotten is listed anew', async (t, server) => {
  await createInOrder(server, [...seed, policy('p', [item('web')])]);
  const abort = new AbortController();
  let expired = 0;
  const client: KubeClient = {
    request: server.client.request,
    async *watch(request, onOpen) {
      const stale = expired < 3 && request.path === '/api/v1/nodes';
      expired += stale ? 1 : 0;
      const query = stale ? { ...request.query, resourceVersion: '1' } : request.query;
      yield* server.client.watch({ ...request, ...(query === undefined ? {} : { query }) }, onOpen);
    },
  };
  const snapshots: Snapshot[] = [];
  const running = (async () => {
    for await (const snapshot of kubernetesSource({ client, nodeName: 'a' }).watch(abort.signal)) {
      snapshots.push(snapshot);
    }
  })();
  const deadline = Date.now() + 20_000;
  while (snapshots.at(-1)?.stale !== '' && Date.now() < deadline) {
    await sleep(20);
  }
  abort.abort();
  await running;
  t.is(snapshots.at(-1)?.stale, '');
  t.deepEqual(names(snapshots.at(-1)?.objects.nodes ?? []), ['a', 'b']);
});

apiserverTest('source: without the CRD it says so, and begins when it is there', async (t, server) => {
  await server.kubectl(['delete', 'crd', 'ipsecpolicies.starlingx.io']);
  const source = follow(t, server);
  await source.until('says so', ({ stale }) => /ipsecpolicies.*(not found|404|could not find)/.test(stale));
  await createInOrder(server, seed);
  await server.kubectl(['apply', '-f', 'conf/crds']);
  await source.until('begins', inForce);
  t.deepEqual(names(source.last().objects.nodes), ['a', 'b']);
});
