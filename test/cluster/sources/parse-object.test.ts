import test, { type ExecutionContext } from 'ava';
import { BOUNDS } from '../../../src/cluster/bounds.ts';
import { type ParsedObject, parseObject } from '../../../src/cluster/sources/parse-object.ts';

const SLICE = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' };
const service = (ports: readonly unknown[], more: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's', namespace: 'ns', ...more },
  spec: { selector: { app: 's' }, ports },
});
const slice = (endpoints: readonly unknown[], ports: readonly unknown[] = []): object => ({
  ...SLICE,
  metadata: { name: 's-1', namespace: 'ns' },
  endpoints,
  ports,
});
const node = (addresses: readonly unknown[]): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'a' },
  status: { addresses },
});

function read<L extends ParsedObject['list']>(
  t: ExecutionContext,
  list: L,
  raw: object,
  former?: object,
): Extract<ParsedObject, { list: L }> {
  const parsed = parseObject(raw, former);
  if (typeof parsed !== 'object' || parsed.list !== list) {
    throw t.fail(String(parsed));
  }
  return parsed as Extract<ParsedObject, { list: L }>;
}

for (const port of [70_000, -1, 0, 1.5, 2 ** 53, '80', null, [], Number.NaN]) {
  test(`a port ${String(port) || '[]'} of a Service leaves its other ports in force`, (t) => {
    const { object, flaw } = read(
      t,
      'services',
      service([
        { name: 'a', port: 53 },
        { name: 'b', port },
      ]),
    );
    t.deepEqual(object.spec.ports, [{ name: 'a', port: 53 }]);
    t.regex(flaw ?? '', /^Service s: spec\.ports\.1\.port: .*, got .*; left out$/);
  });
}

for (const port of [70_000, -1, 0, '80', 1e300]) {
  test(`a port ${port} of a slice leaves the slice in force`, (t) => {
    const raw = slice(
      [{ addresses: ['10.1.2.1'] }],
      [
        { name: 'a', port: 53 },
        { name: 'b', port },
      ],
    );
    const { object, flaw } = read(t, 'endpointSlices', raw);
    t.deepEqual(object.ports, [{ name: 'a', port: 53 }]);
    t.is(object.endpoints?.length, 1);
    t.regex(flaw ?? '', /^EndpointSlice s-1: ports\.1\.port: .*; left out$/);
  });
}

test('a protocol that there is not, and a target port beyond all', (t) => {
  const ports = [
    { name: 'a', port: 1, protocol: 'ICMP' },
    { name: 'b', port: 2, targetPort: 70_000 },
    { name: 'c', port: 3, protocol: 'udp', targetPort: 'www' },
  ];
  const { object, flaw } = read(t, 'services', service(ports));
  t.deepEqual(object.spec.ports, [{ name: 'c', port: 3, protocol: 'udp', targetPort: 'www' }]);
  t.regex(flaw ?? '', /"ICMP"; left out \(and 1 more\)$/);
});

test('a port that breaks keeps the form that it had, whatever else changes', (t) => {
  const former = read(t, 'services', service([{ name: 'a', port: 53, targetPort: 5353 }])).object;
  const broken = service([
    { name: 'new', port: 54 },
    { name: 'a', port: 53, targetPort: 70_000 },
  ]);
  const { object, flaw } = read(t, 'services', broken, former);
  t.deepEqual(object.spec.ports, [
    { name: 'new', port: 54 },
    { name: 'a', port: 53, targetPort: 5353 },
  ]);
  t.regex(flaw ?? '', /got 70000; what it said before stays in force$/);
});

test('a malformed endpoint, address, node name or reference costs itself alone', (t) => {
  const { object, flaw } = read(
    t,
    'endpointSlices',
    slice([
      { addresses: ['10.1.2.1', 5, '10.1.2.2'], nodeName: 'b' },
      'nothing',
      { addresses: 'none' },
      { addresses: ['10.1.2.3'], nodeName: { a: 1 }, targetRef: 'Pod' },
    ]),
  );
  t.deepEqual(object.endpoints, [
    { addresses: ['10.1.2.1', '10.1.2.2'], nodeName: 'b' },
    { addresses: ['10.1.2.3'] },
  ]);
  t.regex(flaw ?? '', /^EndpointSlice s-1: endpoints\.0\.addresses\.1: .*got 5; left out \(and 4 more\)$/);
});

test('a malformed container port costs itself alone', (t) => {
  const { object } = read(t, 'pods', {
    kind: 'Pod',
    metadata: { name: 'p', labels: { app: 'x' } },
    spec: {
      containers: [
        {
          ports: [
            { name: 'a', containerPort: 1 },
            { name: 'b', containerPort: 1e9 },
          ],
        },
        7,
      ],
    },
    status: { podIP: 5, podIPs: [{ ip: '10.1.2.1' }, 'x'] },
  });
  t.deepEqual(object.spec.containers, [{ ports: [{ name: 'a', containerPort: 1 }] }]);
  t.deepEqual(object.status, { podIPs: [{ ip: '10.1.2.1' }] });
});

test('a malformed address of a Node keeps the one that it had, or is left out', (t) => {
  const good = { type: 'InternalIP', address: '10.0.0.1' };
  const bad = { type: 'InternalIP', address: '10.0.0.256' };
  const six = { type: 'InternalIP', address: 'fd00::1' };
  const host = { type: 'Hostname', address: 'a' };
  t.deepEqual(read(t, 'nodes', node([host, bad, six])).object.status?.addresses, [host, six]);
  const former = read(t, 'nodes', node([good])).object;
  const { object, flaw } = read(t, 'nodes', node([host, bad, six]), former);
  t.deepEqual(object.status?.addresses, [host, good, six]);
  t.regex(flaw ?? '', /^Node a: status\.addresses\.1: is no address, got .*stays in force$/);
});

test('what says which pods are protected is never left out: the object is refused', (t) => {
  const raw = { ...service([{ port: 1 }]), spec: { selector: { app: ['x'] } } };
  t.regex(String(parseObject(raw)), /^Service s: spec\.selector\.app: /);
  const pod = { kind: 'Pod', metadata: { name: 'p', labels: { app: 5 } }, spec: {} };
  t.regex(String(parseObject(pod)), /^Pod p: metadata\.labels\.app: /);
});

for (const name of ['', ' ', 'a\nb', 'a/b', '\u001b[2J', '\u202e', 'x'.repeat(300)]) {
  test(`the name ${JSON.stringify(name).slice(0, 20)} is refused, and shown harmlessly`, (t) => {
    const message = String(parseObject(service([], { name })));
    t.regex(message, /metadata\.name: is no name/);
    t.notRegex(message, /\p{Cc}|\p{Cf}/u);
    t.true(message.length <= BOUNDS.charactersPerProblem + 1);
  });
}

test('keys that a prototype has are keys like others', (t) => {
  for (const name of ['__proto__', 'constructor', 'toString']) {
    t.is(read(t, 'services', service([], { name })).object.metadata.name, name);
  }
  const labels = JSON.parse('{"__proto__": "x", "constructor": "y"}') as object;
  const { object } = read(t, 'pods', { kind: 'Pod', metadata: { name: 'p', labels }, spec: {} });
  t.is(Object.getPrototypeOf(object.metadata.labels), Object.prototype);
  t.deepEqual(Object.entries(object.metadata.labels ?? {}), [['constructor', 'y']]);
});

test('labels and annotations that nobody reads are left at the door', (t) => {
  const metadata = {
    labels: {
      'kubernetes.io/service-name': 's',
      'endpointslice.kubernetes.io/managed-by': 'me',
      'trapline.io/x': 'y',
      app: 'x',
    },
    annotations: { 'trapline.io/pod-cidrs': '10.1.0.0/24', 'kubernetes.io/config.hash': 'h', big: 'x' },
    creationTimestamp: '2026-01-01T00:00:00Z',
    generation: -1,
    managedFields: [{}],
  };
  const kept = (raw: object): unknown => {
    const parsed = parseObject({ ...raw, metadata: { name: 'n', ...metadata } });
    return typeof parsed === 'object' ? parsed.object.metadata : parsed;
  };
  const bare = { name: 'n', creationTimestamp: metadata.creationTimestamp, generation: undefined };
  const { app: _app, 'trapline.io/x': _x, ...read } = metadata.labels;
  t.deepEqual(kept(service([])), bare);
  t.deepEqual(kept(slice([])), { ...bare, labels: read });
  t.deepEqual(kept(node([])), { ...bare, annotations: { 'trapline.io/pod-cidrs': '10.1.0.0/24' } });
  t.deepEqual(kept({ kind: 'Pod', spec: {} }), {
    ...bare,
    labels: metadata.labels,
    annotations: { 'kubernetes.io/config.hash': 'h' },
  });
});

test('of a slice the addresses up to the bound count', (t) => {
  const endpoints = Array.from({ length: 200 }, (_, high) => ({
    addresses: Array.from({ length: 100 }, (__, low) => `10.2.${high}.${low}`),
  }));
  const { object, flaw } = read(t, 'endpointSlices', slice(endpoints));
  t.is(object.endpoints?.flatMap(({ addresses }) => addresses).length, BOUNDS.addressesPerSlice);
  t.regex(flaw ?? '', /^EndpointSlice s-1: endpoints\.addresses: 20000 are too many, only the first 1000 /);
});

test('of a Service and a policy what is up to the bounds counts', (t) => {
  const many = Array.from({ length: 600 }, (_, index) => ({ port: index + 1 }));
  t.is(read(t, 'services', service(many)).object.spec.ports?.length, BOUNDS.portsPerObject);
  const policy = {
    apiVersion: 'starlingx.io/v1',
    kind: 'IPsecPolicy',
    metadata: { name: 'p' },
    spec: { policies: Array.from({ length: BOUNDS.itemsPerPolicy + 1 }, () => null) },
  };
  const { object, flaw } = read(t, 'policies', policy);
  t.is(object.spec?.policies?.length, BOUNDS.itemsPerPolicy);
  t.regex(flaw ?? '', /^IPsecPolicy p: spec\.policies: 5001 are too many/);
});

test('an object that is huge where Trapline reads is refused', (t) => {
  const raw = { ...service([]), spec: { selector: { app: 'x'.repeat(BOUNDS.charactersPerObject) } } };
  t.regex(String(parseObject(raw)), /^Service s: larger than /);
});

test('an object that nests deeper than the stack is refused, not thrown', (t) => {
  let deep: unknown = [];
  for (let level = 0; level < 200_000; level += 1) {
    deep = [deep];
  }
  t.is(typeof parseObject(slice([deep])), 'string');
});

test('20,000 malformed elements are read in no time', (t) => {
  const ports = Array.from({ length: 20_000 }, (_, index) => ({ name: `p${index}`, port: 70_000 }));
  const former = read(t, 'endpointSlices', slice([], [{ name: 'p7', port: 7 }])).object;
  const started = performance.now();
  const { object } = read(t, 'endpointSlices', slice([], ports), former);
  t.deepEqual(object.ports, [{ name: 'p7', port: 7 }]);
  t.true(performance.now() - started < 5_000);
});
