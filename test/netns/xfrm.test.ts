import * as fc from 'fast-check';
import { run } from '../../src/exec/execa.ts';
import { createLastingRun } from '../../src/exec/lasting.ts';
import type { Command } from '../../src/exec/types.ts';
import { policyKey } from '../../src/ipsec/plan/ours.ts';
import type { XfrmPolicy } from '../../src/ipsec/plan/types.ts';
import { diffPolicies } from '../../src/ipsec/xfrm/compare/diff.ts';
import { XfrmError } from '../../src/ipsec/xfrm/error.ts';
import type { Iproute2 } from '../../src/ipsec/xfrm/iproute2.ts';
import { deleteState, listPolicies, listStates, ownPolicies } from '../../src/ipsec/xfrm/kernel.ts';
import type { Operation } from '../../src/ipsec/xfrm/operation.ts';
import { applyOperations } from '../../src/ipsec/xfrm/write/apply.ts';
import { standingPolicies } from '../../src/ipsec/xfrm/write/standing.ts';
import { IP, type Namespace } from '../helpers/netns/netns.ts';
import { netnsTest } from '../helpers/netns/netns-test.ts';
import { policy, policyList, selector } from '../ipsec/xfrm/policies.ts';

/** The real `ip` in a namespace, and every process that was started. */
function counted(namespace: Namespace) {
  const commands: Command[] = [];
  const run = (command: Command) => {
    commands.push(command);
    return namespace.run(command);
  };
  return { commands, iproute2: { run, ip: IP } };
}

/** The real `ip` in a namespace, one process for all changes. */
function lasting({ path }: Namespace): Iproute2 {
  const inside = createLastingRun(run, 'xfrm policy count');
  return {
    run: ({ file, args, ...command }) =>
      inside({ file: '/usr/bin/nsenter', args: [`--net=${path}`, '--', file, ...args], ...command }),
    ip: IP,
  };
}

function adds(policies: readonly XfrmPolicy[]): Operation[] {
  return policies.map((one) => ({ op: 'add', policy: one }));
}

function byText(policies: readonly XfrmPolicy[]): XfrmPolicy[] {
  return [...policies].sort((a, b) => (policyKey(a) < policyKey(b) ? -1 : 1));
}

const ports = [1, 2, 3].map((sport) => policy({ selector: selector({ sport }) }));
const FOREIGN = 'dir out src 10.1.0.3/32 dst 10.2.0.0/24 proto udp sport 2 priority 379519'.split(' ');
const FOREIGN_TEMPLATE = 'tmpl src 172.16.0.1 dst 172.16.0.2 proto esp reqid 7 mode tunnel'.split(' ');

netnsTest(
  'every shape comes back from the kernel as it was laid, and goes away again',
  async (t, namespace) => {
    await fc.assert(
      fc.asyncProperty(policyList(25), async (policies) => {
        const { commands, iproute2 } = counted(namespace);
        await applyOperations(iproute2, adds(policies));
        t.is(commands.length, policies.length === 0 ? 0 : 1);
        const kernel = await listPolicies(iproute2);
        t.deepEqual(byText(ownPolicies(kernel)), byText(policies));
        t.deepEqual(diffPolicies(policies, kernel).operations, []);
        await applyOperations(iproute2, diffPolicies([], kernel).operations);
        t.is(await namespace.ip('xfrm', 'policy'), '');
      }),
      { numRuns: 40 },
    );
  },
);

netnsTest('the difference brings the real kernel from any plan to any other', async (t, namespace) => {
  const iproute2 = lasting(namespace);
  await fc.assert(
    fc.asyncProperty(policyList(20), async (desired) => {
      await applyOperations(iproute2, diffPolicies(desired, await listPolicies(iproute2)).operations);
      t.deepEqual(byText(ownPolicies(await listPolicies(iproute2))), byText(desired));
    }),
    { numRuns: 40 },
  );
});

netnsTest('what stands at some keys is what a listing has there', async (t, namespace) => {
  const { iproute2 } = counted(namespace);
  await namespace.ip('xfrm', 'policy', 'add', ...FOREIGN, ...FOREIGN_TEMPLATE);
  await fc.assert(
    fc.asyncProperty(policyList(20), fc.array(fc.boolean(), { minLength: 20 }), async (policies, there) => {
      const present = policies.filter((_, index) => there[index]);
      await applyOperations(iproute2, diffPolicies(present, await listPolicies(iproute2)).operations);
      t.deepEqual(byText(await standingPolicies(iproute2, policies)), byText(present));
      t.deepEqual(byText(await standingPolicies(iproute2, present)), byText(present));
      t.deepEqual(await standingPolicies(iproute2, ports.slice(1, 2)), []);
    }),
    { numRuns: 40 },
  );
});

netnsTest('many keys are asked for one by one only in a table that is much larger', async (t, namespace) => {
  const { commands, iproute2 } = counted(namespace);
  const many = Array.from({ length: 500 }, (_, sport) =>
    policy({ selector: selector({ sport: sport + 1 }) }),
  );
  const some = many.slice(0, 100);
  for (const [laid, expected] of [
    [
      some,
      [
        ['-batch', '-'],
        ['xfrm', 'policy'],
      ],
    ],
    [
      many,
      [
        ['-batch', '-'],
        ['-batch', '-'],
      ],
    ],
  ] as const) {
    await applyOperations(iproute2, adds(laid));
    commands.length = 0;
    t.deepEqual(byText(await standingPolicies(iproute2, some)), byText(some));
    t.deepEqual(
      commands.map(({ args }) => args),
      expected,
    );
  }
});

netnsTest('the same adds and deletes a second time change nothing and are no error', async (t, namespace) => {
  const { iproute2 } = counted(namespace);
  t.is((await applyOperations(iproute2, adds(ports))).length, 3);
  t.deepEqual(await applyOperations(iproute2, adds(ports)), []);
  t.deepEqual(byText(ownPolicies(await listPolicies(iproute2))), byText(ports));
  const deletes = ports.map((one): Operation => ({ op: 'delete', policy: one }));
  t.is((await applyOperations(iproute2, deletes)).length, 3);
  t.deepEqual(await applyOperations(iproute2, deletes), []);
  t.is(await namespace.ip('xfrm', 'policy'), '');
});

netnsTest('an add that meets one of ours replaces it', async (t, namespace) => {
  const { iproute2 } = counted(namespace);
  await applyOperations(iproute2, adds([policy({ reqid: 10_000_009, priority: 1_150 })]));
  await applyOperations(iproute2, adds([...ports, policy()]));
  t.deepEqual(byText(ownPolicies(await listPolicies(iproute2))), byText([...ports, policy()]));
});

netnsTest(
  'a foreign policy in the way is reported and left, and the batch is undone',
  async (t, namespace) => {
    const { iproute2 } = counted(namespace);
    await namespace.ip('xfrm', 'policy', 'add', ...FOREIGN, ...FOREIGN_TEMPLATE);
    const before = await namespace.ip('xfrm', 'policy');
    const error = await t.throwsAsync(applyOperations(iproute2, adds(ports)), { instanceOf: XfrmError });
    t.is(error?.failure.reason, 'conflict');
    t.regex(error?.message ?? '', /^out 10\.1\.0\.3\/32 10\.2\.0\.0\/24 udp 2 0: .*priority 379519, reqid 7/);
    t.is(await namespace.ip('xfrm', 'policy'), before);
    const kernel = await listPolicies(iproute2);
    const { operations, conflicts } = diffPolicies(ports, kernel);
    t.deepEqual(
      operations.map((one) => one.policy.selector.sport),
      [1, 3],
    );
    t.is(conflicts.length, 1);
  },
);

netnsTest('a delete leaves a foreign policy that has taken the place of ours', async (t, namespace) => {
  const { iproute2 } = counted(namespace);
  await namespace.ip('xfrm', 'policy', 'add', ...FOREIGN, ...FOREIGN_TEMPLATE);
  const before = await namespace.ip('xfrm', 'policy');
  const deletes = ports.map((one): Operation => ({ op: 'delete', policy: one }));
  t.deepEqual(await applyOperations(iproute2, deletes), []);
  t.is(await namespace.ip('xfrm', 'policy'), before);
});

netnsTest('a half-failed batch of all three operations is undone to the byte', async (t, namespace) => {
  const { iproute2 } = counted(namespace);
  const [gone, changed, ...rest] = byText(ports);
  if (gone === undefined || changed === undefined) {
    throw new Error('unreachable');
  }
  await applyOperations(iproute2, adds([gone, changed]));
  const before = byText(ownPolicies(await listPolicies(iproute2)));
  const refused = policy({ selector: selector({ sport: 70_000 }) });
  const operations: Operation[] = [
    ...adds(rest),
    { op: 'update', policy: { ...changed, priority: 1_199 }, previous: changed },
    { op: 'delete', policy: gone },
    ...adds([refused]),
  ];
  const error = await t.throwsAsync(applyOperations(iproute2, operations), { instanceOf: XfrmError });
  t.is(error?.failure.reason, 'refused');
  t.regex(error?.message ?? '', /sport 70000 .*: Error: argument "70000" is wrong/);
  t.deepEqual(byText(ownPolicies(await listPolicies(iproute2))), before);
});

netnsTest(
  '5,000 policies are laid, listed, changed and removed, with one process each',
  async (t, namespace) => {
    const { commands, iproute2 } = counted(namespace);
    const many = Array.from({ length: 5_000 }, (_, index) =>
      policy({ selector: selector({ src: `10.1.${index >> 8}.${index & 255}/32` }) }),
    );
    await applyOperations(iproute2, adds(many));
    const kernel = await listPolicies(iproute2);
    t.is(ownPolicies(kernel).length, 5_000);
    const moved = many.map((one) => ({ ...one, priority: 1_101 }));
    await applyOperations(iproute2, diffPolicies(moved, kernel).operations);
    const after = await listPolicies(iproute2);
    t.deepEqual(diffPolicies(moved, after), { operations: [], conflicts: [] });
    await applyOperations(iproute2, diffPolicies([], after).operations);
    t.is(await namespace.ip('xfrm', 'policy'), '');
    t.is(commands.length, 5);
  },
);

netnsTest('SAs are listed and deleted by their identity', async (t, namespace) => {
  const { commands, iproute2 } = counted(namespace);
  const ends = 'src 192.168.0.1 dst 192.168.0.2 proto esp'.split(' ');
  const spi = 'min 0xc0000005 max 0xc0000005'.split(' ');
  await namespace.ip('xfrm', 'state', 'allocspi', ...ends, 'reqid', '10000001', 'mode', 'tunnel', ...spi);
  const [state, ...others] = await listStates(iproute2);
  t.deepEqual(others, []);
  t.like(state, { src: '192.168.0.1', dst: '192.168.0.2', proto: 'esp', spi: 0xc0000005, reqid: 10_000_001 });
  const age = Date.now() - Date.parse(state?.usage?.addedAt ?? '');
  t.true(age > -5_000 && age < 60_000, `${age}`);
  const id = { src: '192.168.0.1', dst: '192.168.0.2', spi: 0xc0000005 };
  await deleteState(iproute2, id);
  t.deepEqual(await listStates(iproute2), []);
  await deleteState(iproute2, id);
  const listings = commands.filter(({ args }) => args.includes('state') && !args.includes('delete'));
  t.true(listings.length > 0 && listings.every(({ args }) => args.includes('nokeys')));
});
