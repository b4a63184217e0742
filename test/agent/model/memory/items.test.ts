import test from 'ava';
import { WITHDRAWN_MS } from '../../../../src/agent/model/memory/withdrawn.ts';
import type { IPsecPolicy } from '../../../../src/cluster/objects.ts';
import { lastingNode } from '../../../helpers/unit/lasting-node.ts';
import { item, pod, policy, service } from '../../../helpers/unit/objects.ts';

const metadata = { name: 'p', uid: 'u1', generation: 1 };
const required = { status: { observedGeneration: 1, phase: 'Required' as const } };
const with_ = (of: IPsecPolicy): { policies: IPsecPolicy[] } => ({ policies: [{ ...of, ...required }] });
const world = {
  services: [service('web', [{ port: 80 }])],
  pods: [pod('web', 'a')],
  ...with_(policy(metadata, item('web', 'tcp/80'))),
};
const POD = { web: '10.1.1.5' };
const protects = (node: ReturnType<typeof lastingNode>): boolean => node.requires('10.1.1.5', 80);

test('a broken edit is survived by a restart, and by the next one', (t) => {
  const node = lastingNode(POD);
  node.see(world);
  const broken = { ...world, ...with_(policy(metadata, item('web', 'tcp/60-50'))) };
  for (let agent = 0; agent < 3; agent += 1) {
    node.restart();
    node.see(broken);
    t.true(protects(node));
    t.regex(node.problems().join(), /spec.policies\[0\].serviceports.*what it said before stays in force/);
  }
  t.is(node.written(), 1, 'written only when it changes');
});

const withdrawn = test.macro({
  exec(t, after: Partial<typeof world>, more: object = {}) {
    for (const restarts of [false, true]) {
      const node = lastingNode(POD);
      node.see({ ...world, policies: [...world.policies, policy('other', item('x', 'tcp/1'))] });
      if (restarts) {
        node.restart();
      }
      node.see({ ...world, ...after }, more);
      t.false(protects(node));
    }
  },
  title: (given) => `withdrawn: ${given}`,
});
const other = policy('other', item('x', 'tcp/1'));
test('by a valid generation that lacks it', withdrawn, {
  policies: [policy(metadata, item('db', 'tcp/80')), other],
});
test('by an empty list of items', withdrawn, { policies: [policy(metadata), other] });
test('by the end of its policy', withdrawn, { policies: [other] });
test('by another policy of the same name that is valid', withdrawn, {
  policies: [policy({ ...metadata, uid: 'u2' }, item('db', 'tcp/80')), other],
});

const kept = test.macro({
  exec(t, policies: IPsecPolicy[], more: object = {}) {
    for (const restarts of [false, true]) {
      const node = lastingNode(POD);
      node.see(world);
      if (restarts) {
        node.restart();
      }
      node.see({ ...world, policies }, more);
      t.true(protects(node));
      t.regex(node.problems().join(), /stays in force|not withdrawn/);
      const names = JSON.stringify(policies);
      const expected = names.includes('"db"') ? ['db', 'web'] : ['web'];
      t.deepEqual(
        node.inForce().map(({ service: name }) => name),
        expected,
        'the source keeps its slices',
      );
    }
  },
  title: (given) => `not withdrawn: ${given}`,
});
test('by a generation in which another item is refused', kept, [
  policy(metadata, item('db', 'tcp/80'), item('x', 'nonsense')),
]);
test('by another policy of the same name that is not', kept, [
  policy({ ...metadata, uid: 'u2' }, item('web', 'tcp/60-50')),
]);
test('by a name that is refused', kept, [policy(metadata, item('Web!', 'tcp/80'))]);
test('by a policy without a spec', kept, [{ ...policy(metadata), spec: undefined }]);
test('by a policy without items', kept, [{ ...policy(metadata), spec: {} }]);
test('by items that are null', kept, [policy(metadata, null)]);
test('by a policy that is read in part', kept, [policy(metadata, item('db', 'tcp/80'))], {
  unread: { policies: new Set(['p']) },
});
test('by a policy that cannot be read', kept, [], { unread: { policies: new Set(['p']) } });

test('a policy that is deleted, and created anew with a broken item, goes on as if it was edited', (t) => {
  for (const restarts of [false, true]) {
    const node = lastingNode(POD);
    const see = (...policies: IPsecPolicy[]): void => {
      if (restarts) {
        node.restart();
      }
      node.see({ ...world, policies: [other, ...policies] });
    };
    const broken = policy({ ...metadata, uid: 'u2' }, item('web', 'tcp/60-50'));
    node.see({ ...world, policies: [other, ...world.policies] });
    see();
    t.false(protects(node), 'the deletion is in force at once');
    node.wait(WITHDRAWN_MS - 1);
    see();
    see(broken);
    t.true(protects(node));
    t.regex(node.problems().join(), /what it said before stays in force/);
    see(broken);
    t.true(protects(node));
    see(policy({ ...metadata, uid: 'u2' }, item('db', 'tcp/80')));
    t.false(protects(node), 'the next valid generation withdraws it');
    see(broken);
    t.false(protects(node), 'and nothing of it is left');
  }
});

test('one that is created long after does not', (t) => {
  const node = lastingNode(POD);
  node.see({ ...world, policies: [other, ...world.policies] });
  node.see({ ...world, policies: [other] });
  node.wait(WITHDRAWN_MS);
  node.see({ ...world, policies: [other, policy({ ...metadata, uid: 'u2' }, item('web', 'tcp/60-50'))] });
  t.false(protects(node));
});

test('an item that no agent of this node has ever understood is told of', (t) => {
  const node = lastingNode(POD);
  const broken = policy(metadata, item('web', 'tcp/60-50'));
  node.see({ ...world, policies: [broken] });
  t.regex(node.problems().join(), /IPsecPolicy p: never understood on this node: web: nothing of it/);
  node.see(world);
  node.see({ ...world, policies: [broken] });
  t.notRegex(node.problems().join(), /never understood/);
});

test('what was accepted outlives a reboot', (t) => {
  const node = lastingNode(POD);
  node.see(world);
  node.reboot();
  node.see({ ...world, ...with_(policy(metadata, item('web', 'tcp/60-50'))) });
  t.true(protects(node), 'a broken item');
  node.reboot();
  node.see({ ...world, services: [] });
  t.true(protects(node), 'a Service that is gone');
});
