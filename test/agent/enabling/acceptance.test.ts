import test from 'ava';
import { createAcceptance } from '../../../src/agent/enabling/acceptance.ts';
import { seedCache } from '../../helpers/unit/cache.ts';

const signal = new AbortController().signal;
const policy = { name: 'p', uid: 'u', generation: 1 };

test('the others hear that a policy is accepted when the children of its live traffic are up', async (t) => {
  const order: string[] = [];
  const acceptance = createAcceptance({
    sleep: async () => void order.push('looked on'),
    warmUp: async () => {
      order.push('warm');
      t.deepEqual(acceptance.told([{ ...policy, phase: 'accept' }]), [{ ...policy, reached: 'none' }]);
    },
  });
  t.deepEqual(acceptance.told([{ ...policy, phase: 'accept' }]), [{ ...policy, reached: 'none' }]);
  t.true(await acceptance.prepare(seedCache(), [{ ...policy, phase: 'accept' }], signal));
  t.deepEqual(order, ['looked on', 'warm']);
  t.deepEqual(acceptance.told([{ ...policy, phase: 'accept' }]), [{ ...policy, reached: 'accept' }]);
  t.false(await acceptance.prepare(seedCache(), [{ ...policy, phase: 'accept' }], signal), 'once is enough');
});

test('later phases are told at once, and need nothing', async (t) => {
  const acceptance = createAcceptance({
    sleep: async () => t.fail('nothing to wait for'),
    warmUp: async () => t.fail('nothing to bring up'),
  });
  for (const phase of ['send', 'require'] as const) {
    t.false(await acceptance.prepare(seedCache(), [{ ...policy, phase }], signal));
    t.deepEqual(acceptance.told([{ ...policy, phase }]), [{ ...policy, reached: phase }]);
  }
});
