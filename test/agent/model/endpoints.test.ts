import test from 'ava';
import { build, messages } from '../../helpers/unit/model.ts';
import { item, policy, service, slice } from '../../helpers/unit/objects.ts';

const web = {
  services: [service('web', [{ port: 80 }])],
  policies: [policy('p', item('web', 'tcp/80'))],
};
const PORTS = [{ name: '', protocol: 'TCP', port: 80 }];
const POD = { targetRef: { kind: 'Pod' } };

const placed = test.macro(
  (t, address: string, endpoint: { nodeName?: string; targetRef?: { kind: string } }, expected: string) => {
    const model = build({ ...web, endpointSlices: [slice('web', [address], PORTS, endpoint)] });
    const { endpoints, localEndpoints } = model.content;
    const found = [
      ...endpoints.map((each) => `remote ${each.address} ${each.node}`),
      ...localEndpoints.map((each) => `local ${each.address} ${each.host ? 'host' : 'pod'}`),
      ...messages(model),
    ];
    t.is(found.join('; '), expected);
  },
);
test('a pod on a peer', placed, '10.1.2.5', POD, 'remote 10.1.2.5 b');
test(
  'nodeName alone does not take an address out of the pod CIDR of another node',
  placed,
  '10.1.2.5',
  { nodeName: 'c', ...POD },
  'remote 10.1.2.5 b; EndpointSlice ns/web-1: endpoints.addresses: "10.1.2.5" lives on b: the agent of c, which nodeName says, does not confirm it',
);
test(
  'outside all pod CIDRs nodeName alone tells nothing',
  placed,
  '10.7.7.7',
  { nodeName: 'c', ...POD },
  'EndpointSlice ns/web-1: endpoints.addresses: "10.7.7.7" is on no known node, and the agent of c does not confirm it: nothing is sent to its protected ports',
);
test(
  'a name that is no node: the pod CIDR tells',
  placed,
  '10.1.2.5',
  { nodeName: 'x', ...POD },
  'remote 10.1.2.5 b',
);
test('a pod of this node is known by its labels', placed, '10.1.1.5', POD, '');
test('a manual address in an own pod CIDR', placed, '10.1.1.5', {}, 'local 10.1.1.5 pod');
test('a manual address on a peer', placed, '10.1.3.5', {}, 'remote 10.1.3.5 c');
test('hostNetwork on this node', placed, '10.0.0.1', { nodeName: 'a', ...POD }, 'local 10.0.0.1 host');
test('hostNetwork on a peer', placed, '10.0.0.2', { nodeName: 'b', ...POD }, 'remote 10.0.0.2 b');
test(
  'on no known node',
  placed,
  '192.0.2.1',
  {},
  'EndpointSlice ns/web-1: endpoints.addresses: "192.0.2.1" is on no known node',
);
test(
  'no address',
  placed,
  'web.example',
  { nodeName: 'b' },
  'EndpointSlice ns/web-1: endpoints.addresses: "web.example" is no address',
);

test('a slice of unknown addresses is one problem, with the first of them and their number', (t) => {
  const unknown = Array.from({ length: 1_000 }, (_, index) => `192.0.${index >> 8}.${index & 255}`);
  const endpointSlices = [slice('web', ['10.1.2.5', ...unknown], PORTS, {})];
  const model = build({ ...web, endpointSlices });
  t.is(model.content.endpoints.length, 1);
  t.deepEqual(messages(model), [
    'EndpointSlice ns/web-1: endpoints.addresses: "192.0.0.0" (and 999 more) is on no known node',
  ]);
});

test('endpoints count whether ready or not', (t) => {
  const base = slice('web', ['10.1.2.5'], PORTS);
  const conditions = { ready: false, serving: false, terminating: true };
  const endpointSlices = [
    { ...base, endpoints: (base.endpoints ?? []).map((each) => ({ ...each, conditions })) },
  ];
  t.is(build({ ...web, endpointSlices }).content.endpoints.length, 1);
});

test('a slice of another namespace or service is not meant', (t) => {
  const mine = slice('web', ['10.1.2.5'], PORTS);
  const elsewhere = { ...mine, metadata: { ...mine.metadata, namespace: 'other' } };
  const { content } = build({ ...web, endpointSlices: [elsewhere, slice('api', ['10.1.2.6'], PORTS)] });
  t.deepEqual(content.endpoints, []);
});

test('a port that is not protected is not listed', (t) => {
  const ports = [...PORTS, { name: 'open', port: 81 }, { name: 'u', protocol: 'UDP', port: 80 }];
  const { content } = build({ ...web, endpointSlices: [slice('web', ['10.1.2.5'], ports)] });
  t.deepEqual(content.endpoints[0]?.ports, [{ proto: 'tcp', port: 80, child: 'tcp_web' }]);
});

test('an address behind two services has the ports of both, once each and sorted', (t) => {
  const ports = [{ name: '', port: 80 }];
  const { content } = build({
    services: [
      service('web', [{ port: 80 }]),
      service('api', [
        { port: 443, targetPort: 80 },
        { name: 'x', port: 9 },
      ]),
    ],
    endpointSlices: [
      slice('web', ['10.1.2.5'], ports),
      slice('api', ['10.1.2.5'], [...ports, { name: 'x', port: 9 }]),
    ],
    policies: [policy('p', item('web', 'tcp/80'), item('api', 'tcp/443,tcp/9'))],
  });
  t.deepEqual(content.endpoints, [
    {
      address: '10.1.2.5',
      node: 'b',
      ports: [
        { proto: 'tcp', port: 9, child: 'tcp_api' },
        { proto: 'tcp', port: 80, child: 'tcp_web' },
      ],
      namespace: 'ns',
    },
  ]);
});

test('every port is one line, port 0', (t) => {
  const { content } = build({
    services: web.services,
    endpointSlices: [slice('web', ['10.1.2.5'], PORTS)],
    policies: [policy('p', item('web', 'tcp/*'))],
  });
  t.deepEqual(content.endpoints[0]?.ports, [{ proto: 'tcp', port: 0, child: 'pods_tcp' }]);
});
