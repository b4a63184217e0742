import test from 'ava';
import type { EndpointSlice, Pod, Service } from '../../../src/cluster/objects.ts';
import type { ClusterObjects } from '../../../src/cluster/snapshot.ts';
import { build, messages } from '../../helpers/unit/model.ts';
import { cluster, item, node, pod, policy, service, slice } from '../../helpers/unit/objects.ts';

// The nodes of the issue: kube-dns is protected, its pod 10.244.2.10 is on b; a tenant's service is protected, too.
const nodes = ['a', 'b', 'c'].map((name, index) =>
  node(name, {
    spec: { podCIDRs: [`10.244.${index + 1}.0/24`] },
    status: { addresses: [{ type: 'InternalIP', address: `192.0.2.${index + 11}` }] },
  }),
);

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

function inNamespace<T extends Service | EndpointSlice>(object: T, namespace: string): T {
  return { ...object, metadata: { ...object.metadata, namespace } };
}

const dns = inNamespace(service('kube-dns', [{ name: 'dns', protocol: 'UDP', port: 53 }]), 'kube-system');
const dnsSlice = inNamespace(
  slice('kube-dns', ['10.244.2.10'], [{ name: 'dns', protocol: 'UDP', port: 53 }], {
    nodeName: 'b',
    targetRef: { kind: 'Pod' },
  }),
  'kube-system',
);
const tenant = inNamespace(service('zz', [{ port: 6443 }], { selector: null }), 'tenant');
const policies = [
  policy(
    'p',
    item('kube-dns', 'udp/53', { servicens: 'kube-system' }),
    item('tenant-zz', 'tcp/*', { servicename: 'zz', servicens: 'tenant' }),
  ),
];

/** The cluster with a slice of the tenant. */
function attacked(endpoint: Endpoint, more: Partial<EndpointSlice['metadata']> = {}): ClusterObjects {
  const { addresses, ...rest } = endpoint;
  const own = inNamespace(slice('zz', addresses, [{ port: 6443 }], rest), 'tenant');
  return cluster({
    nodes,
    services: [dns, tenant],
    endpointSlices: [dnsSlice, { ...own, metadata: { ...own.metadata, ...more } }],
    policies,
  });
}

const kubeDns = {
  address: '10.244.2.10',
  node: 'b',
  ports: [{ proto: 'udp', port: 53, child: 'udp_kube-dns' }],
  namespace: 'kube-system',
} as const;

const harmless = test.macro<[endpoint: Endpoint, said: RegExp, more?: Partial<EndpointSlice['metadata']>]>({
  exec(t, endpoint, said, more) {
    for (const nodeName of ['a', 'b', 'c']) {
      const before = build({ ...attacked({ addresses: [] }) }, { nodeName });
      const model = build(attacked(endpoint, more), { nodeName });
      t.deepEqual(model.content.endpoints, before.content.endpoints, nodeName);
      t.deepEqual(model.content.localEndpoints, before.content.localEndpoints, nodeName);
      const own = messages(model).filter((text) => text.startsWith('EndpointSlice'));
      t.is(own.length, 1, nodeName);
      t.regex(own[0] ?? '', said);
      t.true(own[0]?.startsWith('EndpointSlice tenant/zz-1: endpoints.addresses: '));
    }
  },
  title: (title) => `a tenant's slice moves nothing: ${title}`,
});
const MANAGED = { 'endpointslice.kubernetes.io/managed-by': 'somebody-else' };
const TAKEN = /belongs to a service of namespace kube-system/;
test('the pod of another', harmless, { addresses: ['10.244.2.10'], nodeName: 'c' }, TAKEN);
test('where it is', harmless, { addresses: ['10.244.2.10'], nodeName: 'b' }, TAKEN);
test('without a node', harmless, { addresses: ['10.244.2.10'] }, TAKEN);
test('as a pod', harmless, { addresses: ['10.244.2.10'], targetRef: { kind: 'Pod' } }, TAKEN, {
  labels: { 'kubernetes.io/service-name': 'zz', ...MANAGED },
});
test('older', harmless, { addresses: ['10.244.2.10'] }, TAKEN, { creationTimestamp: '1999-01-01T00:00:00Z' });
const HOST = /"192\.0\.2\.1\d" is Node [abc]'s own/;
test("a node's address", harmless, { addresses: ['192.0.2.11'] }, HOST);
test("a node's address, on it", harmless, { addresses: ['192.0.2.12'], nodeName: 'b' }, HOST);
test("a node's address elsewhere", harmless, { addresses: ['192.0.2.13'], nodeName: 'a' }, HOST);
test('nowhere', harmless, { addresses: ['203.0.113.9'] }, /"203\.0\.113\.9" is on no known node$/);
test(
  'nowhere, with a node',
  harmless,
  { addresses: ['203.0.113.9'], nodeName: 'c' },
  /the agent of c does not/,
);
test('loopback', harmless, { addresses: ['127.0.0.1'], nodeName: 'b' }, /loopback/);
test('loopback, IPv6', harmless, { addresses: ['::1'], nodeName: 'b' }, /loopback/);
test(
  'mapped',
  harmless,
  { addresses: ['::ffff:10.244.2.10'], nodeName: 'b' },
  /belongs to a service of namespace kube-system/,
);
test('link-local', harmless, { addresses: ['169.254.169.254'], nodeName: 'b' }, /link-local/);
test('multicast', harmless, { addresses: ['224.0.0.1'], nodeName: 'b' }, /multicast/);
test('unspecified', harmless, { addresses: ['0.0.0.0'], nodeName: 'b' }, /unspecified/);
test(
  'many addresses',
  harmless,
  { addresses: ['10.244.2.10', '203.0.113.1', '203.0.113.2', '127.0.0.1'] },
  /"203.0.113.1" \(and 1 more\) is on no known node/,
);

test('the word of a tenant for an own unprotected pod counts alike on all nodes', (t) => {
  const objects = {
    ...attacked({ addresses: ['10.244.2.99'] }),
    pods: [pod('other', 'b', { status: { podIP: '10.244.2.99' } })],
  };
  t.is(build(objects, { nodeName: 'a' }).content.endpoints[1]?.namespace, 'tenant');
  t.is(build(objects, { nodeName: 'b' }).content.localEndpoints[0]?.namespace, 'tenant');
});

test('so does the word of a slice that calls it a pod of a service with a selector', (t) => {
  const objects = attacked(
    { addresses: ['10.244.2.99'], targetRef: { kind: 'Pod' } },
    {
      labels: { 'kubernetes.io/service-name': 'zz' },
    },
  );
  const services = [dns, inNamespace(service('zz', [{ port: 6443 }]), 'tenant')];
  const at = (namespace: string): number => {
    const pods = [pod('other', 'b', { metadata: { namespace }, status: { podIP: '10.244.2.99' } })];
    return build({ ...objects, services, pods }, { nodeName: 'b' }).content.localEndpoints.length;
  };
  t.deepEqual([at('ns'), at('tenant')], [1, 0], 'labels tell it of pods of its own namespace alone');
});

test('on its node the protected pod has its address before any slice lists it', (t) => {
  const coredns = pod('coredns', 'b', {
    metadata: { namespace: 'kube-system', labels: { app: 'kube-dns' } },
    status: { podIP: '10.244.2.77' },
  });
  const model = build({ ...attacked({ addresses: ['10.244.2.77'] }), pods: [coredns] }, { nodeName: 'b' });
  t.deepEqual(model.content.localEndpoints, []);
  t.regex(messages(model)[0] ?? '', TAKEN);
});

test('hostNetwork: slices of Kubernetes, of kube-system, and that of the API server name nodes', (t) => {
  const host = (of: string, namespace: string, labels: Record<string, string> = {}): number => {
    const one = inNamespace(slice(of, ['192.0.2.12'], [{ port: 443 }], { nodeName: 'b' }, of), namespace);
    const metadata = { ...one.metadata, labels: { ...one.metadata.labels, ...labels } };
    return build({
      nodes,
      services: [inNamespace(service(of, [{ port: 443 }]), namespace)],
      endpointSlices: [{ ...one, metadata }],
      policies: [policy('p', item(of, 'tcp/443', { servicens: namespace }))],
    }).content.endpoints.length;
  };
  const managed = { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' };
  t.is(host('web', 'ns', managed), 1);
  t.is(host('etcd', 'kube-system'), 1);
  t.is(host('kubernetes', 'default'), 1);
  t.is(host('web', 'ns'), 0);
  t.is(host('kubernetes', 'ns'), 0);
  t.is(host('web', 'default'), 0);
  t.is(host('web', 'ns', { 'endpointslice.kubernetes.io/managed-by': 'me' }), 0);
});

const confirming = (name: string, ...addressesOutside: string[]) => ({
  apiVersion: 'trapline.io/v1alpha1' as const,
  kind: 'IPsecNode' as const,
  metadata: { name },
  status: { addressesOutside },
});

const lent = test.macro<[address: string, nodeName: string | undefined, by: string, where: string]>(
  (t, address, nodeName, by, where) => {
    const one = slice('web', [address], [{ port: 80 }], {
      ...(nodeName === undefined ? {} : { nodeName }),
      targetRef: { kind: 'Pod' },
    });
    const { content } = build({
      nodes,
      services: [service('web', [{ port: 80 }])],
      endpointSlices: [one],
      policies: [policy('p', item('web', 'tcp/80'))],
      ipsecNodes: [confirming(by, address)],
    });
    t.deepEqual(
      content.endpoints.map((endpoint) => endpoint.node),
      where === '' ? [] : [where],
    );
  },
);
test('lent: an agent confirms what nodeName says', lent, '10.244.2.5', 'c', 'c', 'c');
test('lent: outside of all pod CIDRs', lent, '10.9.9.9', 'c', 'c', 'c');
test('lent: another agent confirms it', lent, '10.244.2.5', 'c', 'a', 'b');
test('lent: an agent alone takes nothing away', lent, '10.244.2.5', undefined, 'c', 'b');
test('lent: outside of all pod CIDRs an agent alone tells nothing', lent, '10.9.9.9', undefined, 'c', '');
test('lent: the node of the pod CIDR is named', lent, '10.244.2.5', 'b', 'c', 'b');
test("lent: never a node's own address", lent, '192.0.2.12', 'c', 'c', 'b');
test('lent: what is no node confirms nothing', lent, '10.9.9.9', 'x', 'x', '');

test('no other agent confirms what is of a pod of this node, of a Service, or special', (t) => {
  const placed = (address: string, pods: Pod[] = []): string[] =>
    build({
      nodes,
      pods,
      services: [service('web', [{ port: 80 }], { clusterIP: '10.96.0.10' })],
      endpointSlices: [slice('web', [address], [{ port: 80 }], { nodeName: 'c' })],
      policies: [policy('p', item('web', 'tcp/80'))],
      ipsecNodes: [confirming('c', address)],
    }).content.endpoints.map(({ node: name }) => name);
  const own = (podIP: string): Pod[] => [pod('other', 'a', { status: { podIP } })];
  t.deepEqual(placed('10.244.1.9', own('10.244.1.9')), []);
  t.deepEqual(placed('10.9.9.9', own('10.9.9.9')), []);
  t.deepEqual(placed('10.96.0.10'), []);
  t.deepEqual(placed('169.254.1.1'), []);
  // What this node has no pod for may be lent to the other.
  t.deepEqual(placed('10.244.1.9'), ['c']);
  t.deepEqual(placed('10.244.1.9', own('10.244.1.8')), ['c']);
});

test('the node itself knows what of its pods is lent, and serves a manual slice there', (t) => {
  const one = slice('web', ['10.244.2.5'], [{ port: 80 }], { nodeName: 'c' });
  const objects = {
    nodes,
    services: [service('web', [{ port: 80 }], { selector: null })],
    endpointSlices: [one],
    policies: [policy('p', item('web', 'tcp/80'))],
    pods: [pod('web', 'c', { status: { podIP: '10.244.2.5' } })],
  };
  const { content } = build(objects, { nodeName: 'c' });
  t.deepEqual(
    [content.localEndpoints.map(({ address }) => address), content.endpoints],
    [['10.244.2.5'], []],
  );
});

test('more lent addresses than an agent confirms are said', (t) => {
  const many = Array.from({ length: 257 }, (_, index) =>
    pod(`p${index}`, 'a', { status: { podIP: `10.99.${index >> 8}.${index & 255}` } }),
  );
  t.regex(messages(build({ nodes, pods: many }))[0] ?? '', /^Node a: 257 pods have addresses outside/);
  t.deepEqual(messages(build({ nodes, pods: many.slice(1) })), []);
});

/** Two namespaces that say by hand that they have the address; who gets it? */
function between(
  x: Partial<EndpointSlice['metadata']>,
  y: Partial<EndpointSlice['metadata']>,
): ClusterObjects {
  const of = (name: string, more: Partial<EndpointSlice['metadata']>): EndpointSlice => {
    const one = inNamespace(slice(name, ['10.244.2.5'], [{ port: 80 }], {}, `${name}-slice`), name);
    return { ...one, metadata: { ...one.metadata, ...more } };
  };
  return cluster({
    nodes,
    services: ['x', 'y'].map((name) => inNamespace(service(name, [{ port: 80 }], { selector: null }), name)),
    endpointSlices: [of('x', x), of('y', y)],
    policies: [policy('p', item('x', 'tcp/80', { servicens: 'x' }), item('y', 'tcp/80', { servicens: 'y' }))],
  });
}
const OLD = { creationTimestamp: '2020-01-01T00:00:00Z' };
const NEW = { creationTimestamp: '2021-01-01T00:00:00Z' };

test('of two namespaces that of the first item has an address, whichever slice is older', (t) => {
  const has = (objects: ClusterObjects): string | undefined => build(objects).content.endpoints[0]?.namespace;
  for (const [x, y] of [
    [NEW, OLD],
    [OLD, NEW],
    [OLD, OLD],
    [{}, NEW],
  ] as const) {
    const objects = between(x, y);
    t.is(has(objects), 'x');
    const items = (objects.policies[0]?.spec?.policies ?? []).toReversed();
    t.is(has({ ...objects, policies: [policy('p', ...items)] }), 'y');
  }
});

test('and who had it keeps it', (t) => {
  const y = { ...between(OLD, NEW), endpointSlices: between(OLD, NEW).endpointSlices.slice(1) };
  for (const nodeName of ['a', 'b']) {
    const previous = build(y, { nodeName }).content;
    const { content } = build(between(OLD, NEW), { nodeName, previous });
    const [endpoint] = nodeName === 'a' ? content.endpoints : content.localEndpoints;
    t.is(endpoint?.namespace, 'y');
    t.is(endpoint?.ports.length, 1);
  }
});

test('what two namespaces protect by hand at one address adds up, so that none takes it from the other', (t) => {
  const objects = between(OLD, NEW);
  const [x, y] = objects.services;
  const services = [x, { ...y, spec: { ...y?.spec, ports: [{ port: 81 }] } }] as ClusterObjects['services'];
  const items = [item('y', 'tcp/81', { servicens: 'y' }), item('x', 'tcp/80', { servicens: 'x' })];
  for (const policies of [[policy('p', ...items)], [policy('p', ...items.toReversed())]]) {
    const { content } = build({ ...objects, services, policies });
    t.deepEqual(
      content.endpoints.map(({ ports }) => ports.map(({ port }) => port)),
      [[80, 81]],
    );
  }
});

test('hostNetwork pods of several namespaces share the address of their node', (t) => {
  const web = (name: string, port: number): EndpointSlice =>
    inNamespace(slice(name, ['192.0.2.12'], [{ port }], { nodeName: 'b', targetRef: { kind: 'Pod' } }), name);
  const objects = {
    nodes,
    services: [['x', 1] as const, ['y', 2] as const].map(([name, port]) =>
      inNamespace(service(name, [{ port }]), name),
    ),
    endpointSlices: [web('x', 1), web('y', 2)],
    policies: [policy('p', item('x', 'tcp/1', { servicens: 'x' }), item('y', 'tcp/2', { servicens: 'y' }))],
  };
  const [there, here] = ['a', 'b'].map((nodeName) => build(objects, { nodeName }));
  t.like(there?.content.endpoints[0] ?? {}, { node: 'b', ports: [{ port: 1 }, { port: 2 }] });
  t.like(here?.content.localEndpoints[0] ?? {}, { host: true, ports: [{ port: 1 }, { port: 2 }] });
  t.deepEqual(messages(there ?? { problems: [] }), []);
});

test("a bridge's address is no pod's in a tenant's slice, and the node's own in one of kube-system", (t) => {
  const at = (address: string, namespace: string, endpoint: Omit<Endpoint, 'addresses'> = {}) => {
    const one = inNamespace(slice('web', [address], [{ port: 80 }], endpoint), namespace);
    const { content } = build(
      {
        nodes,
        services: [inNamespace(service('web', [{ port: 80 }]), namespace)],
        endpointSlices: [one],
        policies: [policy('p', item('web', 'tcp/80', { servicens: namespace }))],
        ipsecNodes: [confirming('c', address)],
      },
      { nodeName: 'b' },
    );
    return [...content.localEndpoints.map(({ host }) => host), ...content.endpoints.map((each) => each.node)];
  };
  for (const address of ['10.244.2.0', '10.244.2.1', '10.244.2.255']) {
    t.deepEqual(at(address, 'tenant'), []);
    t.deepEqual(at(address, 'tenant', { nodeName: 'c' }), []);
    t.deepEqual(at(address, 'kube-system'), [true]);
    // Calico gives them to pods.
    t.deepEqual(at(address, 'tenant', { nodeName: 'c', targetRef: { kind: 'Pod' } }), ['c']);
  }
  t.deepEqual(at('10.244.2.2', 'tenant'), [false]);
});

test('entries of one namespace add up, and neither moves the address of the other', (t) => {
  const web = (name: string, port: number, nodeName: string): EndpointSlice =>
    slice(name, ['10.244.2.5'], [{ port }], { nodeName, targetRef: { kind: 'Pod' } });
  const { content } = build({
    nodes,
    services: [service('api', [{ port: 1 }]), service('web', [{ port: 2 }])],
    endpointSlices: [web('api', 1, 'b'), web('web', 2, 'c')],
    policies: [policy('p', item('api', 'tcp/1'), item('web', 'tcp/2'))],
  });
  t.like(content.endpoints[0] ?? {}, { node: 'b', ports: [{ port: 1 }, { port: 2 }] });
  t.is(content.endpoints.length, 1);
  t.deepEqual(content.endpoints[0]?.namespace, 'ns');
});

test('kube-dns is where it is', (t) => {
  t.deepEqual(build(attacked({ addresses: ['10.244.2.10'], nodeName: 'c' })).content.endpoints, [
    kubeDns as never,
  ]);
});
