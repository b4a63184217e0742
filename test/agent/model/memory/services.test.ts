import test from 'ava';
import { DEPARTED_MS } from '../../../../src/agent/model/departed.ts';
import { BOUNDS } from '../../../../src/cluster/bounds.ts';
import type { ClusterObjects } from '../../../../src/cluster/snapshot.ts';
import { lastingNode } from '../../../helpers/unit/lasting-node.ts';
import { item, pod, policy, service, slice } from '../../../helpers/unit/objects.ts';

const listed = (port: number): ClusterObjects['endpointSlices'] => [
  slice('web', ['10.1.1.5', '10.1.2.7'], [{ name: 'http', port, protocol: 'TCP' }]),
];
const named = [{ name: 'http', port: 80, targetPort: 'named' }];
const world = {
  services: [service('web', [{ name: 'http', port: 80 }])],
  endpointSlices: listed(80),
  pods: [pod('web', 'a')],
  policies: [policy('p', item('web', 'tcp/80'))],
};
const GONE = { services: [], endpointSlices: [] };
const POD = { web: '10.1.1.5' };

test('a Service that is deleted stays in force, and a restart changes nothing', (t) => {
  for (const restarts of [false, true]) {
    const node = lastingNode(POD);
    node.see(world);
    if (restarts) {
      node.restart();
    }
    for (let agent = 0; agent < 3; agent += 1) {
      node.see({ ...world, ...GONE });
      t.true(node.requires('10.1.1.5', 80), 'serving');
      t.true(node.sends('10.1.2.7', 80), 'client, by its number');
      t.regex(
        node.problems().join(),
        /^IPsecPolicy p: ServiceNotFound: ns\/web; what it selected before stays/,
      );
      node.wait(2 * DEPARTED_MS);
      node.restart();
    }
    node.see(world);
    t.deepEqual(node.problems(), []);
  }
});

test('so does the number of a target port that has a name, also while there is no pod', (t) => {
  const node = lastingNode(POD);
  const { policies } = world;
  const services = [service('web', named)];
  node.see({ policies, services, endpointSlices: listed(8080) });
  for (const left of [{ services, endpointSlices: [slice('web', [], [])] }, GONE, GONE]) {
    const { children } = node.see({ policies, ...left });
    t.true(node.sends('10.1.2.7', 8080));
    t.deepEqual(children[0]?.ports, [8080]);
    node.restart();
  }
});

test('endpoints stay for a while, for ports that no number protects', (t) => {
  const node = lastingNode(POD);
  const policies = [policy('p', item('web', 'tcp/*'))];
  node.see({ ...world, policies });
  node.see({ ...world, policies, services: [] });
  node.see({ ...world, policies, ...GONE });
  t.true(node.sends('10.1.2.7', 99));
  node.restart();
  node.see({ ...world, policies, ...GONE });
  t.true(node.sends('10.1.2.7', 99));
  t.true(node.requires('10.1.1.5', 99));
  node.wait(DEPARTED_MS + 1);
  t.true(node.due());
  node.see({ ...world, policies, ...GONE });
  t.false(node.sends('10.1.2.7', 99));
  t.true(node.requires('10.1.1.5', 99), 'the pod of this node goes on');
  t.false(node.due());
});

test('a port that is left out of a Service, since it is not read as a whole, stays', (t) => {
  const two = [
    { name: 'http', port: 80 },
    { name: 'alt', port: 81 },
  ];
  const policies = [policy('p', item('web', 'tcp/80,tcp/81'))];
  const half = [service('web', [{ name: 'http', port: 80 }])];
  const unread = { services: new Set(['ns/web']) };
  for (const restarts of [false, true]) {
    const node = lastingNode(POD);
    node.see({ ...world, policies, services: [service('web', two)], endpointSlices: [] });
    for (let agent = 0; agent < 3; agent += 1) {
      if (restarts) {
        node.restart();
      }
      node.see({ ...world, policies, services: half, endpointSlices: [] }, { unread });
      t.true(node.requires('10.1.1.5', 81));
    }
    node.see({ ...world, policies, services: half, endpointSlices: [] });
    t.false(node.requires('10.1.1.5', 81), 'withdrawn by the whole');
  }
});

test('a Service under a wildcard that cannot be read stays for as long as it is there', (t) => {
  const node = lastingNode(POD);
  const policies = [policy('p', item('all', 'tcp/80', { servicename: '*' }))];
  node.see({ ...world, policies });
  const unread = { services: new Set(['ns/web']) };
  node.see({ ...world, policies, ...GONE }, { unread });
  node.wait(2 * DEPARTED_MS);
  node.see({ ...world, policies, ...GONE }, { unread });
  t.true(node.requires('10.1.1.5', 80));
});

test('what the owner of a Service says of it is in force at once', (t) => {
  const node = lastingNode(POD);
  node.see(world);
  node.see({ ...world, services: [service('web', [{ port: 81 }])], endpointSlices: [] });
  t.false(node.requires('10.1.1.5', 80));
  node.see({ ...world, services: [service('web', [{ port: 80 }], { selector: { app: 'other' } })] });
  t.false(node.requires('10.1.1.5', 80));
});

test('a Service is forgotten when no item names it any more', (t) => {
  const node = lastingNode(POD);
  node.see(world);
  node.see({ ...world, ...GONE });
  node.see({ ...world, ...GONE, policies: [policy('p', item('db', 'tcp/80'))] });
  t.false(node.requires('10.1.1.5', 80));
  node.see({ ...world, ...GONE });
  t.false(node.requires('10.1.1.5', 80));
});

test('an edit of the ports counts for a Service that is gone', (t) => {
  const node = lastingNode(POD);
  const services = [service('web', [{ port: 80 }, { port: 81 }])];
  node.see({ ...world, services });
  const policies = [policy('p', item('web', 'tcp/80-81'))];
  node.see({ ...world, ...GONE, policies });
  t.true(node.requires('10.1.1.5', 80));
  t.true(node.requires('10.1.1.5', 81));
});

const ALL = [policy('p', item('all', 'tcp/80', { servicename: '*' }))];

test('one that only a wildcard named stays for a while', (t) => {
  const node = lastingNode(POD);
  node.see({ ...world, policies: ALL });
  node.restart();
  node.see({ ...world, ...GONE, policies: ALL });
  t.true(node.requires('10.1.1.5', 80));
  t.regex(node.problems().join(), /ServiceNotFound: ns\/web; .* for 20 minutes/);
  node.wait(DEPARTED_MS - 1);
  node.restart();
  node.see({ ...world, ...GONE, policies: ALL });
  t.true(node.requires('10.1.1.5', 80));
  node.wait(DEPARTED_MS + 1);
  t.true(node.due());
  node.see({ ...world, ...GONE, policies: ALL });
  t.false(node.requires('10.1.1.5', 80));
  t.deepEqual(node.problems(), []);
  t.false(node.due());
});

test('of those at most so many of a namespace, and no other namespace loses any', (t) => {
  const node = lastingNode(POD);
  const ports = [{ port: 80 }];
  const many = Array.from({ length: BOUNDS.formerServices + 50 }, (_, index) => service(`s${index}`, ports));
  const elsewhere = { ...service('web', ports), metadata: { name: 'web', namespace: 'other' } };
  const policies = [
    policy('p', item('all', 'tcp/80', { servicename: '*' })),
    policy('q', item('more', 'tcp/80', { servicename: '*', servicens: 'other' })),
  ];
  node.see({ services: [...many, elsewhere], policies });
  const { entries } = node.see({ services: [], policies });
  t.is(entries.length, BOUNDS.formerServices + 1);
  t.true(entries.some(({ namespace }) => namespace === 'other'));
});

test('nothing is written for what stays as it is', (t) => {
  const node = lastingNode(POD);
  node.see(world);
  node.see(structuredClone(world));
  node.restart();
  node.see(structuredClone(world));
  t.is(node.written(), 1);
});
