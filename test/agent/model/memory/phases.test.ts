import test from 'ava';
import { DEPARTED_MS } from '../../../../src/agent/model/departed.ts';
import type { IPsecPolicy } from '../../../../src/cluster/objects.ts';
import { lastingNode } from '../../../helpers/unit/lasting-node.ts';
import { item, pod, policy, service, slice } from '../../../helpers/unit/objects.ts';

let generation = 1;
/** A policy in the phase that the controller gives to what it has never seen. */
const accepting = (name: string, ...items: object[]): IPsecPolicy => {
  generation += 1;
  const metadata = { name, uid: `${name}-${generation}`, generation };
  return { ...policy(metadata, ...items), status: { observedGeneration: generation, phase: 'Accepting' } };
};
const whole = (of: IPsecPolicy): IPsecPolicy => ({ ...of, status: { ...of.status, phase: 'Required' } });
const web = item('web', 'tcp/80');
const world = { services: [service('web', [{ port: 80, name: 'http' }])], pods: [pod('web', 'a')] };
const begun = (...items: object[]): ReturnType<typeof lastingNode> => {
  const node = lastingNode({ web: '10.1.1.5' });
  node.see({ ...world, policies: [whole(accepting('p', ...items))] });
  node.restart();
  return node;
};
const protects = (node: ReturnType<typeof lastingNode>): boolean => node.requires('10.1.1.5', 80);

const stays = test.macro({
  exec(t, before: object, ...after: object[][]) {
    const node = begun(before);
    t.true(protects(node));
    node.see({
      ...world,
      policies: after.map((items, index) => accepting('pq'[index] ?? '', ...items)),
    });
    t.true(protects(node));
  },
  title: (given) => `what was required stays required: ${given}`,
});
const MESH = item('all', '*', { servicename: '*', servicens: '*' });
const WILD = item('web', 'tcp/80', { servicename: '*' });
test('a renamed item', stays, web, [item('www', 'tcp/80', { servicename: 'web' })]);
test('every Service of the namespace', stays, web, [WILD]);
test('one Service instead of all', stays, WILD, [web]);
test('one policy becomes two', stays, item('web', 'tcp/80,tcp/81'), [item('x', 'tcp/81')], [web]);
test('a wider port', stays, web, [item('web', 'tcp/*')]);
test('every port', stays, web, [item('web', '*')]);
test('a narrower port', stays, item('web', '*'), [web]);
test('a range', stays, web, [item('web', 'tcp/1-100')]);
test('the mesh instead of a service', stays, web, [MESH]);
test('a service instead of the mesh', stays, MESH, [web]);

test('a policy that is deleted and created at once goes on where it was', (t) => {
  const node = begun(web);
  node.see({ ...world, policies: [accepting('other')] });
  t.false(protects(node));
  node.restart();
  node.see({ ...world, policies: [accepting('p', web)] });
  t.true(protects(node));
});

test('one that is created long after begins anew', (t) => {
  const node = begun(web);
  node.see({ ...world, policies: [accepting('other')] });
  t.false(node.due());
  node.wait(DEPARTED_MS + 1);
  t.true(node.due());
  node.see({ ...world, policies: [accepting('p', web)] });
  t.false(protects(node));
});

test('a target port that gets a name, or loses it, is the same port', (t) => {
  const endpointSlices = [slice('web', ['10.1.2.5'], [{ name: 'http', port: 8080, protocol: 'TCP' }])];
  const pods = [
    pod('web', 'a', {
      spec: { nodeName: 'a', containers: [{ ports: [{ name: 'named', containerPort: 8080 }] }] },
    }),
  ];
  const targeting = (targetPort: number | string): object => ({
    services: [service('web', [{ name: 'http', port: 80, targetPort }])],
    endpointSlices,
    pods,
  });
  for (const [before, after] of [
    [8080, 'named'],
    ['named', 8080],
  ] as const) {
    const node = lastingNode({ web: '10.1.1.5' });
    node.see({ ...targeting(before), policies: [whole(accepting('p', web))] });
    t.true(node.requires('10.1.1.5', 8080));
    node.see({ ...targeting(after), policies: [accepting('p', web)] });
    t.true(node.requires('10.1.1.5', 8080));
  }
});

const renamed = test.macro({
  exec(t, steps: readonly Parameters<ReturnType<typeof lastingNode>['see']>[0][]) {
    for (const restarts of [false, true]) {
      const node = begun(web);
      for (const step of steps) {
        if (restarts) {
          node.restart();
        }
        node.see({ ...world, ...step });
      }
      t.true(protects(node));
    }
  },
  title: (given) => `a Service that is renamed goes on where it was: ${given}`,
});
const fresh = {
  ...service('new', [{ port: 80, name: 'http' }]),
  spec: world.services[0]?.spec,
} as (typeof world)['services'][0];
const follows = item('web', 'tcp/80', { servicename: 'new' });
test('all at once', renamed, [{ services: [fresh], policies: [accepting('p', follows)] }]);
test('the Service first', renamed, [
  { services: [], policies: [whole(accepting('p', web))] },
  { services: [fresh], policies: [whole(accepting('p', web))] },
  { services: [fresh], policies: [accepting('p', follows)] },
]);
test('the item first', renamed, [
  { policies: [accepting('p', follows)] },
  { services: [fresh], policies: [accepting('p', follows)] },
]);

test('a Service that selects other pods begins anew', (t) => {
  const node = begun(web);
  const other = { ...fresh, spec: { ...fresh.spec, selector: { app: 'other' } } };
  node.see({
    ...world,
    services: [other],
    pods: [
      pod('web', 'a', {
        metadata: { name: 'web', namespace: 'ns', uid: 'uid-web', labels: { app: 'other' } },
      }),
    ],
    policies: [accepting('p', follows)],
  });
  t.false(protects(node));
});
