import test from 'ava';
import { createEnforcer } from '../../../src/agent/kernel/enforce.ts';
import { remembered } from '../../../src/agent/kernel/records.ts';
import { planPolicies } from '../../../src/ipsec/plan/plan.ts';
import { XfrmError } from '../../../src/ipsec/xfrm/error.ts';
import { eachPolicy } from '../../../src/ipsec/xfrm/kernel.ts';
import { applyCounted } from '../../../src/ipsec/xfrm/write/apply.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { seedCache, seedCacheWithUnlisted } from '../../helpers/unit/cache.ts';
import { createFakeKernel, sorted } from '../../helpers/unit/fake-kernel.ts';

/** An enforcer with a kernel that refuses what it is told to, and a clock that stands until it is set. */
function node() {
  const kernel = createFakeKernel();
  const iproute2 = { ...kernel, ip: '/ip' };
  const clock = { now: 0 };
  const enforcer = createEnforcer({
    eachPolicy: (take) => eachPolicy(iproute2, take),
    grace: async () => undefined,
    apply: async (operations, isolation) => (await applyCounted(iproute2, operations, isolation)).refused,
    readAttachments: () => ({ records: [].map(remembered), complete: true }),
    writeAttachment: () => undefined,
    uptime: () => clock.now,
  });
  const asked = (part: string): number =>
    kernel.commands.splice(0).filter(({ input }) => input?.includes(part)).length;
  return { kernel, clock, enforcer, asked };
}

const cache = seedCache();
const planned = planPolicies(cache, []);
const ONE = 'dir out src 172.16.166.128/26 dst 172.16.192.115/32 proto 17 dport 53';

test('a policy that the kernel refuses is left out, named, and tried again more and more rarely', async (t) => {
  const { kernel, clock, enforcer, asked } = node();
  kernel.refuses = (line) => line.includes(ONE);
  const done = await enforcer.enforce(cache);
  t.is(done.refused.length, 1);
  t.regex(
    done.refused[0] ?? '',
    new RegExp(`^ip xfrm policy add ${ONE} .*: RTNETLINK answers: Invalid argument$`),
  );
  t.is(done.added, planned.length - 1);
  t.is(kernel.policies().length, planned.length - 1, 'the rest of the batch went in');
  t.false(await enforcer.intact(), 'the next look asks for a whole comparison');
  t.is(asked(ONE), 1);

  for (const pause of [20_000, 40_000, 80_000]) {
    clock.now += pause - 1;
    const next = await enforcer.enforce(cache, { trusting: true });
    t.deepEqual(next.refused, done.refused, 'it is still said');
    t.is(asked(ONE), 0, 'and not tried');
    clock.now += 1;
    t.deepEqual((await enforcer.enforce(cache)).refused, done.refused);
    t.is(asked(ONE), 1);
  }
  kernel.refuses = () => false;
  clock.now += 160_000;
  t.deepEqual((await enforcer.enforce(cache)).refused, []);
  t.deepEqual(kernel.policies(), sorted(planned));
  t.true(await enforcer.intact());
});

test('a policy that has changed is tried at once, and one that is not planned any more is forgotten', async (t) => {
  const { kernel, enforcer } = node();
  kernel.refuses = (line) => line.includes(`${ONE} priority 1101`) || line.includes(`${ONE} priority 1100`);
  t.is((await enforcer.enforce(cache)).refused.length, 1);
  const other: NodeCache = {
    ...cache,
    peers: cache.peers.map((peer) => ({
      ...peer,
      reqids: Object.fromEntries(Object.entries(peer.reqids).map(([child, id]) => [child, id + 1_000])),
    })),
  };
  kernel.refuses = (line) => line.includes(ONE) && !/ reqid \d+1\d\d\d /.test(line);
  t.deepEqual((await enforcer.enforce(other)).refused, []);
  kernel.refuses = (line) => line.includes(`add ${ONE}`);
  const none = { ...cache, endpoints: [] };
  await enforcer.enforce(none);
  t.is((await enforcer.enforce(cache)).refused.length, 1);
  t.deepEqual((await enforcer.enforce(none)).refused, []);
});

test('nothing is deleted that protects what a refused policy was to protect; all else is', async (t) => {
  const { kernel, enforcer } = node();
  const before = seedCacheWithUnlisted();
  await enforcer.enforce(before);
  const wide = 'dir out src 172.16.166.128/26 dst 172.16.192.64/26 proto 17 dport 53';
  const elsewhere = 'dir out src 172.16.166.128/26 dst 172.16.43.0/26 proto 17 dport 53';
  const has = (part: string): boolean => kernel.table.has(part.replace('dir ', ''));
  t.true(has(wide) && has(elsewhere) && has(ONE));
  const [, body = ''] = [...kernel.table].find(([key]) => key === ONE.replace('dir ', '')) ?? [];
  t.not(body, '');
  kernel.table.delete(ONE.replace('dir ', ''));

  kernel.refuses = (line) => line.includes(`add ${ONE}`);
  for (let step = 0; step < 2; step += 1) {
    await enforcer.enforce(cache);
    t.true(has(wide), 'it holds back what is for the refused one');
    t.false(has(elsewhere));
  }
  kernel.refuses = () => false;
  await enforcer.enforce({ ...cache, endpoints: [] });
  t.false(has(wide), 'nothing needs it any more');
});

for (const [title, refuses] of [
  ['every policy', () => true],
  ['every policy of one direction', (line: string) => line.includes(' dir out ')],
] as const) {
  test(`if ${title} is refused, the step fails, at little cost until some time has passed`, async (t) => {
    const { kernel, clock, enforcer, asked } = node();
    kernel.refuses = refuses;
    const fails = () =>
      t.throwsAsync(enforcer.enforce(cache), { instanceOf: XfrmError, message: /refused|Invalid argument/ });
    await fails();
    t.true(asked('policy add') > 5);
    clock.now += 1_000;
    await fails();
    t.is(asked('policy add'), 1);
    clock.now += 1_000;
    await fails();
    t.true(asked('policy add') > 5);
    clock.now += 3_999;
    await fails();
    t.is(asked('policy add'), 1, 'the pause has doubled');
    kernel.refuses = () => false;
    t.deepEqual((await enforcer.enforce(cache)).refused, []);
    t.deepEqual(kernel.policies(), sorted(planned));
  });
}

test('with too many that are refused the step is undone', async (t) => {
  const { kernel, enforcer } = node();
  const [endpoint] = cache.endpoints;
  if (endpoint === undefined) {
    return t.fail();
  }
  const many = {
    ...cache,
    endpoints: Array.from({ length: 120 }, (_, index) => ({
      ...endpoint,
      address: `172.16.192.${64 + index}`,
    })),
  };
  kernel.refuses = (line) => /dst 172.16.192.\d+\/32/.test(line);
  await t.throwsAsync(enforcer.enforce(many), { instanceOf: XfrmError });
  t.deepEqual(kernel.policies(), []);
});

test('what is refused while only a difference is applied is left out as well', async (t) => {
  const { kernel, enforcer } = node();
  const none = { ...cache, endpoints: [] };
  await enforcer.enforce(none);
  kernel.refuses = (line) => line.includes(ONE);
  const done = await enforcer.enforce(cache, { trusting: true });
  t.is(done.refused.length, 1);
  t.is(kernel.policies().length, planned.length - 1);
});
