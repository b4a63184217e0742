import test from 'ava';
import * as fc from 'fast-check';
import { policyKey, REQID_ANY } from '../../../../src/ipsec/plan/ours.ts';
import type { XfrmPolicy } from '../../../../src/ipsec/plan/types.ts';
import { diffPolicies } from '../../../../src/ipsec/xfrm/compare/diff.ts';
import {
  byKey,
  type KernelPolicy,
  ownPolicies,
  ownPolicy,
} from '../../../../src/ipsec/xfrm/kernel-policy.ts';
import type { Operation } from '../../../../src/ipsec/xfrm/operation.ts';
import {
  asidePolicies,
  foreignPolicies,
  inKernel,
  policies,
  policy,
  policyList,
  selector,
} from '../policies.ts';

/** The kernel's table: at most one policy per key; a refused operation is a failure of the test. */
function applyTo(kernel: readonly KernelPolicy[], operations: readonly Operation[]): KernelPolicy[] {
  const table = new Map<string, KernelPolicy>(byKey(kernel));
  const aside = kernel.filter((one) => !(one.kind === 'policy' && table.get(policyKey(one)) === one));
  for (const { op, policy: wanted } of operations) {
    const key = policyKey(wanted);
    if (op === 'add' ? table.has(key) : !table.has(key)) {
      throw new Error(`${op} ${key}: refused`);
    }
    if (op === 'delete') {
      table.delete(key);
    } else {
      table.set(key, inKernel(wanted));
    }
  }
  return [...aside, ...table.values()];
}

const kernels: fc.Arbitrary<KernelPolicy[]> = fc
  .tuple(
    policyList(12),
    fc.array(foreignPolicies, { maxLength: 6 }),
    fc.array(asidePolicies, { maxLength: 3 }),
  )
  .map(([own, foreign, aside]) => [...byKey([...own.map(inKernel), ...foreign]).values(), ...aside]);

function sorted(list: readonly (XfrmPolicy | KernelPolicy)[]): string[] {
  return list.map((one) => JSON.stringify(one)).sort();
}

test('property: the difference brings any kernel to the plan, and touches nothing of another', (t) => {
  fc.assert(
    fc.property(policyList(12), kernels, (desired, kernel) => {
      const { operations, conflicts } = diffPolicies(desired, kernel);
      const after = applyTo(kernel, operations);
      const blocked = new Set(conflicts.map((conflict) => policyKey(conflict.desired)));
      const reachable = desired.filter((one) => !blocked.has(policyKey(one)));
      t.deepEqual(sorted(ownPolicies(after)), sorted(reachable));
      const foreign = (list: readonly KernelPolicy[]) =>
        sorted(list.filter((one) => ownPolicy(one) === undefined));
      t.deepEqual(foreign(after), foreign(kernel));
      t.deepEqual(diffPolicies(desired, after), { operations: [], conflicts });
    }),
    { numRuns: 500 },
  );
});

test('property: one of ours is known again, and nothing that differs in the least is taken for ours', (t) => {
  fc.assert(fc.property(policies, (own) => t.deepEqual(ownPolicy(inKernel(own)), own)));
  fc.assert(
    fc.property(fc.oneof(foreignPolicies, asidePolicies), (foreign) => t.is(ownPolicy(foreign), undefined)),
  );
});

test('adds come before updates, updates before deletes', (t) => {
  const [fresh, changed, gone] = [1, 2, 3].map((sport) => policy({ selector: selector({ sport }) }));
  if (fresh === undefined || changed === undefined || gone === undefined) {
    throw new Error('unreachable');
  }
  const previous = { ...changed, priority: 1_150 };
  const { operations } = diffPolicies([changed, fresh], [inKernel(gone), inKernel(previous)]);
  t.deepEqual(operations, [
    { op: 'add', policy: fresh },
    { op: 'update', policy: changed, previous },
    { op: 'delete', policy: gone },
  ]);
});

test('what comes in by a reqid of before is updated in place, before anything that is sent', (t) => {
  const answers = selector({ src: '10.2.0.0/24', dst: '10.1.0.3/32', sport: 0, dport: 53 });
  const former = [
    policy({ dir: 'fwd', selector: answers, reqid: 10_000_001 }),
    policy({ reqid: 10_000_001 }),
  ];
  const now = [policy({ dir: 'fwd', selector: answers, reqid: REQID_ANY }), policy({ reqid: 10_000_003 })];
  t.deepEqual(
    diffPolicies(now, former.map(inKernel)).operations.map(({ op, policy: { dir } }) => `${op} ${dir}`),
    ['update fwd', 'update out'],
  );
});

test('a foreign policy at the key is a conflict and not an operation', (t) => {
  const desired = policy();
  const foreign = { ...inKernel(desired), priority: 379_519 };
  t.deepEqual(diffPolicies([desired], [foreign]), { operations: [], conflicts: [{ desired, foreign }] });
});

for (const [what, change] of [
  ['priority', { priority: 1_101 }],
  ['reqid', { reqid: 10_000_002 }],
  ['source of the template', { src: '192.168.0.9' }],
  ['destination of the template', { dst: '192.168.0.9' }],
  ['level', { level: 'use' }],
] as const) {
  test(`another ${what} is an update`, (t) => {
    const previous = policy({ dir: 'fwd' });
    const wanted = policy({ dir: 'fwd', ...change });
    t.deepEqual(diffPolicies([wanted], [inKernel(previous)]).operations, [
      { op: 'update', policy: wanted, previous },
    ]);
  });
}
