import { deepStrictEqual, strictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import { createEnforcer } from '../../../src/agent/kernel/enforce.ts';
import { type RememberedRecord, remembered } from '../../../src/agent/kernel/records.ts';
import { type Pins, pin } from '../../../src/ipsec/charon/sas/pins.ts';
import { policyKey } from '../../../src/ipsec/plan/ours.ts';
import { planAttachment, planPolicies } from '../../../src/ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import { XfrmError } from '../../../src/ipsec/xfrm/error.ts';
import type { Attachment } from '../../../src/rundir/attachment.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { corednsAttachment, seedCache } from '../../helpers/unit/cache.ts';
import { createFakeTable } from '../../helpers/unit/fake-kernel.ts';

/** A kernel that takes nothing twice, the agent, and the plugin beside it. */
function createNode() {
  const { table: kernel, eachPolicy, apply } = createFakeTable();
  let records: Attachment[] = [];
  const memory = new WeakMap<Attachment, RememberedRecord>();
  const remember = (record: Attachment): RememberedRecord => {
    const found = memory.get(record) ?? remembered(record);
    memory.set(record, found);
    return found;
  };
  let cache = seedCache();
  let count = 0;
  const enforcer = createEnforcer({
    eachPolicy,
    grace: async () => undefined,
    apply: async (operations) => {
      await apply(operations);
      return [];
    },
    uptime: () => 0,
    readAttachments: () => ({ records: records.map(remember), complete: true }),
    writeAttachment: (record) => {
      records = records.map((one) => (one.containerId === record.containerId ? record : one));
    },
  });
  return {
    kernel,
    intact: enforcer.intact,
    records: () => records,
    attach(address: string, podName: string) {
      const target = {
        ...corednsAttachment,
        pod: { ...corednsAttachment.pod, name: podName },
        addresses: [address],
      };
      const policies = planAttachment(cache, target);
      for (const { policies: former } of records.filter(({ addresses }) => addresses.includes(address))) {
        former.forEach((policy) => void kernel.delete(policyKey(policy)));
      }
      count += 1;
      const name = { containerId: `c${count}`, ifName: 'eth0', netns: '', network: 'pods', createdAt: count };
      records = records.filter(({ addresses }) => !addresses.includes(address));
      records.push({ schema: 1, ...name, ...target, policies });
      policies.forEach((policy) => void kernel.set(policyKey(policy), policy));
    },
    detach(address: string) {
      for (const { policies } of records.filter(({ addresses }) => addresses.includes(address))) {
        policies.forEach((policy) => void kernel.delete(policyKey(policy)));
      }
      records = records.filter(({ addresses }) => !addresses.includes(address));
    },
    async enforce(next: NodeCache, pins: Pins, trusting: boolean) {
      cache = next;
      return await enforcer.enforce(cache, { pins, trusting });
    },
  };
}

const seed = seedCache();
const [dns] = seed.endpoints;
const [coredns] = seed.pods;
const ADDRESSES = ['172.16.166.178', '172.16.166.179'];
const REMOTE = ['172.16.192.115', '172.16.192.116', '172.16.43.7'];

const endpoint = fc.record({
  address: fc.constantFrom(...REMOTE),
  node: fc.constantFrom('controller-0', 'worker-0', 'nobody'),
  ports: fc.subarray(dns?.ports ?? [], { minLength: 1 }),
});
const pod = fc.record({
  name: fc.constantFrom('coredns-1', 'coredns-2'),
  protected: fc.boolean(),
  addresses: fc.subarray(ADDRESSES),
});
const action = fc.oneof(
  fc.record({
    kind: fc.constant('endpoints' as const),
    // The model gives each address once.
    value: fc.uniqueArray(endpoint, { maxLength: 4, selector: ({ address }) => address }),
  }),
  fc.record({
    kind: fc.constant('pods' as const),
    value: fc.uniqueArray(pod, { selector: ({ name }) => name }),
  }),
  fc.record({
    kind: fc.constant('local' as const),
    value: fc.array(
      fc.record({
        address: fc.constantFrom(...ADDRESSES),
        host: fc.boolean(),
        ports: fc.constant([...(dns?.ports ?? [])]),
      }),
      {
        maxLength: 1,
      },
    ),
  }),
  fc.record({
    kind: fc.constant('attach' as const),
    value: fc.tuple(fc.constantFrom(...ADDRESSES), fc.constantFrom('coredns-1', 'coredns-2')),
  }),
  fc.record({ kind: fc.constant('detach' as const), value: fc.constantFrom(...ADDRESSES) }),
  fc.record({
    kind: fc.constant('pins' as const),
    value: fc.dictionary(fc.constantFrom('10000000', '10000001', '10000101'), fc.integer({ min: 1, max: 3 })),
  }),
  fc.record({ kind: fc.constant('strict' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constant('unlisted' as const), value: fc.subarray(dns?.ports ?? []) }),
);

const table = (policies: Iterable<XfrmPolicy>): [string, XfrmPolicy][] =>
  [...policies]
    .map((policy): [string, XfrmPolicy] => [policyKey(policy), policy])
    .sort(([a], [b]) => (a < b ? -1 : 1));

test('what is laid by trust is what the plan says, whatever comes and goes', async (t) => {
  t.plan(1);
  const steps = { trusted: 0, compared: 0, miscounted: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(action, fc.boolean()), { maxLength: 12 }), async (actions) => {
      const node = createNode();
      let cache = seed;
      let pins: Pins = new Map();
      await node.enforce(cache, pins, false);
      let size = node.kernel.size;
      for (const [{ kind, value }, at] of actions) {
        if (kind === 'endpoints') {
          cache = { ...cache, endpoints: value };
        } else if (kind === 'pods') {
          const pods = value.map(({ name, addresses, ...one }) => ({
            ...(coredns ?? { namespace: '', uid: '', ports: [] }),
            name,
            addresses,
            labels: one.protected ? { 'k8s-app': 'kube-dns' } : {},
          }));
          cache = { ...cache, pods };
        } else if (kind === 'local') {
          cache = { ...cache, localEndpoints: value.map((one) => ({ ...one, ports: [...one.ports] })) };
        } else if (kind === 'attach') {
          node.attach(...value);
        } else if (kind === 'detach') {
          node.detach(value);
        } else if (kind === 'pins') {
          pins = new Map(Object.entries(value).map(([reqid, spi]) => [Number(reqid), spi]));
        } else {
          cache = { ...cache, [kind]: value };
        }
        // The agent is woken by each ADD.
        if (at || kind === 'attach') {
          const { compared, added, deleted, byPlugin } = await node.enforce(cache, pins, true);
          if (!compared && node.kernel.size !== size + added - deleted + byPlugin) {
            steps.miscounted += 1;
          }
          size = node.kernel.size;
          steps[compared ? 'compared' : 'trusted'] += 1;
          const wanted = planPolicies(cache, node.records()).map((policy) => pin(policy, pins));
          deepStrictEqual(table(node.kernel.values()), table(wanted));
          strictEqual(await node.intact(), true);
        }
      }
    }),
    { numRuns: 1000 },
  );
  t.true(steps.trusted > steps.compared && steps.trusted > 20 * steps.miscounted, JSON.stringify(steps));
});

test('a kernel that is not what was trusted is compared as a whole', async (t) => {
  const kernel: XfrmPolicy[] = [];
  let refusals = 0;
  const enforcer = createEnforcer({
    eachPolicy: async () => undefined,
    grace: async () => undefined,
    apply: async (operations) => {
      if (refusals > 0) {
        refusals -= 1;
        throw new XfrmError({ reason: 'command-failed', said: 'no' }, 'no');
      }
      kernel.push(...operations.map(({ policy }) => policy));
      return [];
    },
    uptime: () => 0,
    readAttachments: () => ({ records: [], complete: true }),
    writeAttachment: () => undefined,
  });
  await enforcer.enforce(seed);
  t.false((await enforcer.enforce({ ...seed, endpoints: [] }, { trusting: true })).compared);
  refusals = 1;
  const done = await enforcer.enforce(seed, { trusting: true });
  t.true(done.compared);
  t.is(done.added, planPolicies(seed, []).length);
});

test('a record with policies that no cache plans is compared as a whole, whether it comes or goes', async (t) => {
  const ids = { schema: 1, ifName: 'eth0', netns: '', network: 'pods', createdAt: 1 } as const;
  const [strange] = planPolicies(seed, []);
  const record = remembered({
    ...ids,
    ...corednsAttachment,
    containerId: 'a',
    policies: strange === undefined ? [] : [strange],
  });
  let records: RememberedRecord[] = [];
  const enforcer = createEnforcer({
    eachPolicy: async () => undefined,
    grace: async () => undefined,
    apply: async () => [],
    uptime: () => 0,
    readAttachments: () => ({ records, complete: true }),
    writeAttachment: () => undefined,
  });
  await enforcer.enforce(seed);
  for (const next of [[record], []]) {
    records = next;
    t.true((await enforcer.enforce(seed, { trusting: true })).compared);
    t.false((await enforcer.enforce(seed, { trusting: true })).compared);
  }
});

test('nobody is trusted before the first comparison, and none after a record that cannot be read', async (t) => {
  let complete = true;
  const enforcer = createEnforcer({
    eachPolicy: async () => undefined,
    grace: async () => undefined,
    apply: async () => [],
    uptime: () => 0,
    readAttachments: () => ({ records: [], complete }),
    writeAttachment: () => undefined,
  });
  t.true((await enforcer.enforce(seed, { trusting: true })).compared);
  t.false((await enforcer.enforce(seed, { trusting: true })).compared);
  complete = false;
  t.true((await enforcer.enforce(seed, { trusting: true })).compared);
  complete = true;
  t.true((await enforcer.enforce(seed, { trusting: true })).compared);
});
