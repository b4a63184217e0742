import test from 'ava';
import { BOUNDS } from '../../../src/cluster/bounds.ts';
import type { ClusterObjects } from '../../../src/cluster/snapshot.ts';
import { build, messages } from '../../helpers/unit/model.ts';
import { item, policy, service } from '../../helpers/unit/objects.ts';

/** So many Services of a namespace, each with one port of TCP and one of UDP. */
function servicesIn(namespace: string, count: number): ClusterObjects['services'] {
  return Array.from({ length: count }, (_, index) => {
    const one = service(`s${index}`, [
      { name: 't', port: 80 },
      { name: 'u', port: 53, protocol: 'UDP' },
    ]);
    return { ...one, metadata: { ...one.metadata, namespace } };
  });
}

const every = (name: string, namespace: string, ports = 'tcp/80'): object =>
  item(name, ports, { servicename: '*', servicens: namespace });
const childrenOf = (model: ReturnType<typeof build>): string[] =>
  model.content.children.map(({ name }) => name);

test('an item for many Services has one child for all, and says so; no port loses its protection', (t) => {
  const most = BOUNDS.servicesOfItem;
  const few = build({ services: servicesIn('x', most), policies: [policy('p', every('all', 'x'))] });
  t.is(childrenOf(few).length, most);
  t.deepEqual(messages(few), []);
  const many = build({ services: servicesIn('x', most + 1), policies: [policy('p', every('all', 'x'))] });
  t.deepEqual(many.content.children, [{ name: 'tcp_all_x', proto: 'tcp', ports: [80] }]);
  t.is(many.content.entries.length, most + 1);
  t.deepEqual(messages(many), [
    `IPsecPolicy p: item all: ${most + 1} Services, of which at most ${most} could have CHILD_SAs of their own: they share those of all_x`,
  ]);
  t.deepEqual(many.content.unlisted, [{ proto: 'tcp', port: 80, child: 'tcp_all_x' }]);
});

test('how many Services one namespace has changes nothing for the children of another', (t) => {
  const policies = [
    policy('p', every('a', 'x', 'tcp/80,udp/53'), every('b', 'y', 'tcp/80,udp/53'), every('c', 'z')),
    policy('q', item('one', 'tcp/80', { servicename: 's0', servicens: 'z' })),
  ];
  const others = (count: number): string[] =>
    childrenOf(
      build({
        services: [...servicesIn('x', count), ...servicesIn('y', 30), ...servicesIn('z', 5)],
        policies,
      }),
    ).filter((name) => !/_a[._]/.test(name));
  const before = others(0);
  t.is(before.length, 2 * 30 + 5 + 1);
  for (const count of [1, 64, 65, 700]) {
    t.deepEqual(others(count), before, `${count} Services`);
  }
});

test('never more children than there may be: the items after them go through the wide ones', (t) => {
  const count = BOUNDS.children + 2;
  const services = servicesIn('ns', count);
  const items = services.map(({ metadata: { name } }) => item(name, 'tcp/80'));
  const model = build({ services, policies: [policy('p', ...items)] });
  const names = childrenOf(model);
  t.is(names.length, BOUNDS.children + 1);
  t.is(names.at(-1), 'pods_tcp');
  t.is(messages(model).length, 2);
  t.regex(messages(model)[0] ?? '', /^IPsecPolicy p: item s192: .* more than 192 CHILD_SAs to a peer/);
  t.is(model.content.entries.length, count, 'all are protected');
  t.deepEqual(messages(build({ services, policies: [policy('p', ...items)] }, { childSaScope: 'node' })), []);
});

test('with every kind of item at once there are not too many children either', (t) => {
  const namespaces = Array.from({ length: 40 }, (_, index) => `n${index}`);
  const model = build({
    services: namespaces.flatMap((namespace, index) => servicesIn(namespace, index)),
    policies: [
      policy('p', ...namespaces.map((namespace) => every(`i-${namespace}`, namespace, 'tcp/80,udp/53'))),
    ],
  });
  const narrow = childrenOf(model).filter((name) => !name.startsWith('pods'));
  t.is(narrow.length, 80);
  t.true(narrow.length <= BOUNDS.children);
});

test('names of any length are cut to what VICI takes, and stay different', (t) => {
  const long = (letter: string): string => letter.repeat(63);
  const services = ['x', 'y'].map((last) => {
    const one = service(`${'s'.repeat(120)}${last}`, [{ port: 80 }]);
    return { ...one, metadata: { ...one.metadata, namespace: long('n') } };
  });
  const { content } = build({
    services,
    policies: [
      policy('p', every(long('i'), long('n'))),
      policy('q', item(long('i'), 'tcp/80', { servicename: 'other' })),
    ],
  });
  const names = content.entries.map(({ name }) => name);
  t.is(new Set(names).size, 2);
  t.true(names.every((name) => name.length <= BOUNDS.entryName));
});
