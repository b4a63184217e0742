import test from 'ava';
import type { ClusterObjects } from '../../../src/cluster/snapshot.ts';
import { build, messages } from '../../helpers/unit/model.ts';
import { item, policy, service, slice } from '../../helpers/unit/objects.ts';

const resolved = test.macro(
  (t, objects: Partial<ClusterObjects>, ports: string, expected: readonly string[] | RegExp) => {
    const model = build({ ...objects, policies: [policy('p', item('web', ports))] });
    if (expected instanceof RegExp) {
      t.regex(messages(model).join('\n'), expected);
      t.deepEqual(model.content.children, []);
    } else {
      t.deepEqual(messages(model), []);
      t.deepEqual(
        model.content.children.flatMap(({ name, ports: list }) => `${name} ${list.join()}`),
        expected,
      );
    }
  },
);
const services = (...ports: Parameters<typeof service>[1]) => ({ services: [service('web', ports)] });
const named = {
  services: [service('web', [{ name: 'http', port: 80, targetPort: 'www' }])],
  endpointSlices: [
    slice('web', ['10.1.2.5'], [{ name: 'http', protocol: 'TCP', port: 8080 }]),
    { ...slice('web', ['10.1.3.5'], [{ name: 'http', protocol: 'TCP', port: 8081 }]) },
  ],
};
const manual = {
  services: [service('web', [{ port: 80 }], { selector: null })],
  endpointSlices: [slice('web', ['10.1.2.5'], [{ name: '', port: 8080 }], {})],
};
test('no target port: the port itself', resolved, services({ port: 80 }), 'tcp/80', ['tcp_web 80']);
test('by service port', resolved, services({ port: 80, targetPort: 8080 }), 'tcp/80', ['tcp_web 8080']);
test('by target port', resolved, services({ port: 80, targetPort: 8080 }), 'tcp/8080', ['tcp_web 8080']);
test(
  'both readings hold',
  resolved,
  services({ name: 'x', port: 80, targetPort: 8080 }, { name: 'y', port: 81, targetPort: 80 }),
  'tcp/80',
  ['tcp_web 80,8080'],
);
test(
  'the protocol counts',
  resolved,
  services({ port: 80, protocol: 'UDP' }),
  'tcp/80',
  /PortNotFound: tcp\/80/,
);
test(
  'a port that is neither',
  resolved,
  services({ port: 80 }),
  'tcp/81',
  /PortNotFound: tcp\/81 .* ns\/web/,
);
test('a named port has every number that slices give', resolved, named, 'tcp/80', ['tcp_web 8080,8081']);
test('a named port by its number', resolved, named, 'tcp/8081', ['tcp_web 8081']);
test('a manual slice, by service port', resolved, manual, 'tcp/80', ['tcp_web 80,8080']);
test('a manual slice, by its own port', resolved, manual, 'tcp/8080', ['tcp_web 8080']);
test('every port of a protocol', resolved, services({ port: 80 }), 'tcp/*', ['pods_tcp ']);
test('every port', resolved, services({ port: 80 }), '*', ['pods ']);
test('the service is not there', resolved, {}, 'tcp/80', /IPsecPolicy p: ServiceNotFound: ns\/web/);
test('headless', resolved, { services: [service('web', [{ port: 80 }], { clusterIP: 'None' })] }, 'tcp/80', [
  'tcp_web 80',
]);

const entryNames = test.macro((t, items: readonly object[], expected: readonly string[]) => {
  const ports = [{ port: 80 }];
  const web = service('web', ports);
  const { content } = build({
    services: [web, service('api', ports), { ...web, metadata: { name: 'web', namespace: 'other' } }],
    policies: [policy('p', ...items.slice(0, 1)), policy('q', ...items.slice(1))],
  });
  t.deepEqual(
    content.entries.map(({ name, namespace, service: target }) => `${name}: ${namespace}/${target}`),
    expected,
  );
});
const other = { servicename: 'web', servicens: 'other' };
test('an item names its entry', entryNames, [item('x', 'tcp/80', { servicename: 'web' })], ['x: ns/web']);
test(
  'equal names in two namespaces are told apart',
  entryNames,
  [item('web', 'tcp/80'), item('web', 'tcp/80', other)],
  ['web.ns.web: ns/web', 'web.other.web: other/web'],
);
test(
  'equal names for one service are one entry',
  entryNames,
  [item('web', 'tcp/80'), item('web', 'udp/80')],
  ['web: ns/web'],
);
test(
  'two items for one service',
  entryNames,
  [item('web', 'tcp/80'), item('x', 'tcp/80', { servicename: 'web' })],
  ['web: ns/web', 'x: ns/web'],
);
test(
  'every service of a namespace',
  entryNames,
  [item('all', 'tcp/80', { servicename: '*' })],
  ['all.api: ns/api', 'all.web: ns/web'],
);
test(
  'an item named as an entry of another item',
  entryNames,
  [item('all', 'tcp/80', { servicename: '*' }), item('all.api', 'tcp/80', other)],
  ['all.api: other/web', 'all.api.ns.api: ns/api', 'all.web: ns/web'],
);
test(
  'two items for every service whose names continue one another, of two namespaces',
  entryNames,
  [
    item('all', 'tcp/80', { servicename: '*' }),
    item('all.ns', 'tcp/80', { servicename: '*', servicens: 'other' }),
  ],
  ['all.ns.api: ns/api', 'all.ns.other.web: other/web', 'all.ns.web: ns/web'],
);

test('every service of every namespace is the mesh', (t) => {
  const { content } = build({
    policies: [policy('p', item('all', '*', { servicename: '*', servicens: '*' }))],
  });
  t.true(content.mesh);
  t.deepEqual(content.children, [{ name: 'pods', proto: 'any', ports: [] }]);
  t.deepEqual(Object.keys(content.peers[0]?.reqids ?? {}), ['pods']);
});

test('services of one name in two namespaces keep their own ports and selectors', (t) => {
  const theirs = service('web', [{ port: 80, targetPort: 9000 }], { selector: { app: 'theirs' } });
  const { content } = build({
    services: [service('web', [{ port: 80 }]), { ...theirs, metadata: { name: 'web', namespace: 'other' } }],
    policies: [policy('p', item('theirs', 'tcp/80', other))],
  });
  t.like(content.entries[0], { selector: { app: 'theirs' }, ports: [{ proto: 'tcp', target: 9000 }] });
});
