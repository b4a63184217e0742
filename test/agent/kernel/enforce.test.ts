import test from 'ava';
import { createEnforcer, type EnforceEffects } from '../../../src/agent/kernel/enforce.ts';
import { remembered } from '../../../src/agent/kernel/records.ts';
import { planAttachment, planPolicies } from '../../../src/ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import { cellOf } from '../../../src/ipsec/xfrm/compare/checksum.ts';
import { CELLS } from '../../../src/ipsec/xfrm/compare/sums.ts';
import type { Operation } from '../../../src/ipsec/xfrm/operation.ts';
import type { Attachment } from '../../../src/rundir/attachment.ts';
import { corednsAttachment, seedCache } from '../../helpers/unit/cache.ts';
import { IN_STEP } from '../../helpers/unit/enforced.ts';
import { listed } from '../../helpers/unit/fake-kernel.ts';

const attachment: Attachment = {
  schema: 1,
  containerId: 'c1',
  ifName: 'eth0',
  netns: '/run/netns/c1',
  network: 'pods',
  createdAt: 1,
  policies: [],
  ...corednsAttachment,
};

function node(
  policies: readonly XfrmPolicy[],
  records: readonly Attachment[] = [attachment],
  complete = true,
) {
  const applied: Operation[] = [];
  const written: Attachment[] = [];
  const effects: EnforceEffects = {
    eachPolicy: async (take) => policies.map(listed).forEach(take),
    grace: async () => undefined,
    apply: async (operations) => {
      applied.push(...operations);
      return [];
    },
    uptime: () => 0,
    readAttachments: () => ({ records: records.map(remembered), complete }),
    writeAttachment: (record) => void written.push(record),
  };
  return { applied, written, effects };
}

test('an empty kernel gets the whole plan, the record gets its own part', async (t) => {
  const { applied, written, effects } = node([]);
  const done = await createEnforcer(effects).enforce(seedCache());
  t.is(done.added, planPolicies(seedCache(), [attachment]).length);
  t.true(applied.every(({ op }) => op === 'add'));
  t.deepEqual(written[0]?.policies, planAttachment(seedCache(), attachment));
});

test('a kernel in step is left alone', async (t) => {
  const cache = seedCache();
  const record = { ...attachment, policies: planAttachment(cache, attachment) };
  const { applied, written, effects } = node(planPolicies(cache, [record]), [record]);
  t.deepEqual(await createEnforcer(effects).enforce(cache), { ...IN_STEP, planned: 28 });
  t.deepEqual(applied, []);
  t.deepEqual(written, []);
});

test('a port that is gone is deleted after its record still named it', async (t) => {
  const before = seedCache();
  const record = { ...attachment, policies: planAttachment(before, attachment) };
  const after = seedCache({
    entries: before.entries.map((entry) => ({
      ...entry,
      ports: entry.ports.filter(({ proto }) => proto === 'tcp'),
    })),
  });
  const { applied, written, effects } = node(planPolicies(before, [record]), [record]);
  await createEnforcer(effects).enforce(after);
  t.true(applied.length > 0);
  t.true(applied.every(({ op, policy }) => op === 'delete' && policy.selector.proto === 'udp'));
  t.false(written[0]?.policies.some(({ selector }) => selector.proto === 'udp'));
});

test('no packet is caught by a weaker policy than the one that is for it', async (t) => {
  const none = seedCache({ entries: [], endpoints: [] });
  const all = seedCache({ unlisted: [{ proto: 'udp', port: 53, child: 'udp_kube-dns' }] });
  const priorities = (applied: readonly Operation[], op: Operation['op']): number[] =>
    applied.flatMap((operation) => (operation.op === op ? [operation.policy.priority] : []));

  const rising = node([], []);
  await createEnforcer(rising.effects).enforce(all);
  const added = priorities(rising.applied, 'add');
  t.true(new Set(added).size > 1);
  t.deepEqual(
    added,
    added.toSorted((a, b) => a - b),
  );

  const falling = node(planPolicies(all, []), []);
  await createEnforcer(falling.effects).enforce(none);
  const deleted = priorities(falling.applied, 'delete');
  t.true(new Set(deleted).size > 1);
  t.deepEqual(
    deleted,
    deleted.toSorted((a, b) => b - a),
  );
});

test('a kernel that refuses leaves the records as they are', async (t) => {
  const { written, effects } = node([]);
  const refusing: EnforceEffects = {
    ...effects,
    grace: async () => undefined,
    apply: async () => {
      throw new Error('refused');
    },
  };
  await t.throwsAsync(createEnforcer(refusing).enforce(seedCache()), { message: 'refused' });
  t.deepEqual(written, []);
});

test('nothing is deleted while a record cannot be read', async (t) => {
  const cache = seedCache();
  const { applied, effects } = node(planPolicies(cache, [attachment]), [], false);
  await createEnforcer(effects).enforce(cache);
  t.deepEqual(applied, []);
});

test('an inspection looks again after a while, and at nothing more once a whole comparison has come in between', async (t) => {
  const cache = seedCache();
  let policies: readonly XfrmPolicy[] = planPolicies(cache, []);
  const events: string[] = [];
  let meanwhile = async (): Promise<unknown> => undefined;
  const enforcer = createEnforcer({
    ...node([], []).effects,
    eachPolicy: async (take, pace) => {
      if (pace !== undefined) {
        events.push('reading');
        await meanwhile();
      }
      policies.map(listed).forEach(take);
    },
    grace: async () => void events.push('grace'),
  });
  await enforcer.enforce(cache);
  meanwhile = async () => {
    const next = { ...cache, endpoints: [] };
    policies = planPolicies(next, []);
    await enforcer.enforce(next);
  };
  t.true(await enforcer.intact());
  t.deepEqual(events.splice(0), ['reading']);

  meanwhile = async () => undefined;
  policies = policies.slice(1);
  t.false(await enforcer.intact());
  t.deepEqual(events, ['reading', 'grace', 'reading']);
});

test('an inspection that finds something else off each time ends, and nobody waits after its last reading', async (t) => {
  const cache = seedCache();
  const whole = planPolicies(cache, [attachment]);
  const cells = [...Map.groupBy(whole, (policy) => cellOf(policy, CELLS)).values()];
  t.true(cells.length >= 5);
  const events: string[] = [];
  const enforcer = createEnforcer({
    ...node([]).effects,
    eachPolicy: async (take, pace) => {
      const readings = events.filter((event) => event === 'reading').length;
      const missing = new Set(pace === undefined ? [] : cells[readings]);
      whole
        .filter((policy) => !missing.has(policy))
        .map(listed)
        .forEach(take);
      events.push(pace === undefined ? 'comparison' : 'reading');
    },
    grace: async () => void events.push('grace'),
  });
  await enforcer.enforce(cache);
  t.false(await enforcer.intact());
  const more = Array.from({ length: 4 }, () => ['grace', 'reading']).flat();
  t.deepEqual(events, ['comparison', 'reading', ...more]);
});
