import type { XfrmPolicy } from '../../plan/types.ts';
import { type Iproute2, runIp } from '../iproute2.ts';
import type { KernelPolicy } from '../kernel-policy.ts';
import { applyOperations } from './apply.ts';
import { lookUp } from './standing.ts';

/**
 * From so many policies on a filter is worth a process of its own, which costs as much as some hundred lines
 * of a batch.
 */
const MANY = 256;

/**
 * Deletes those policies of ours that the kernel has at the keys of the given ones. A line of `ip -batch`
 * deletes by selector alone, so the kernel is asked first what it has there: a policy that is not ours stays.
 * Thousands of policies with the same address, direction and priority are deleted by one `ip xfrm policy
 * deleteall`, which takes less than half of the time; if the filter would match anything else too, they are
 * deleted one by one.
 *
 * @throws XfrmError as `listPolicies` and `applyOperations`
 */
export async function removePolicies(iproute2: Iproute2, policies: readonly XfrmPolicy[]): Promise<void> {
  const { standing, table } = await lookUp(iproute2, policies);
  const { filters, others } =
    table === undefined ? { filters: [], others: standing } : bundle(table, standing);
  const left = (await deleteAll(iproute2, filters)) ? others : standing;
  await applyOperations(
    iproute2,
    left.map((policy) => ({ op: 'delete', policy })),
  );
}

/**
 * Runs the filters one after the other, so that none runs on after the caller has given up the lock. Returns
 * false as soon as `ip` refuses one.
 */
async function deleteAll(iproute2: Iproute2, filters: readonly string[]): Promise<boolean> {
  for (const filter of filters) {
    const { exitCode } = await runIp(iproute2, { args: `xfrm policy deleteall ${filter}`.split(' ') });
    if (exitCode !== 0) {
      return false;
    }
  }
  return true;
}

/**
 * A filter of `deleteall` that matches the policies of one pod, direction and priority: `src 10.1.0.3 dir out
 * priority 1100`. `deleteall` compares all bits of the address, whatever prefix length the policy has.
 */
function filterOf({ dir, selector, priority }: Pick<XfrmPolicy, 'dir' | 'selector' | 'priority'>): string {
  const [side, cidr] = dir === 'out' ? ['src', selector.src] : ['dst', selector.dst];
  return `${side} ${cidr.replace(/\/.*/, '')} dir ${dir} priority ${priority}`;
}

interface Bundles {
  /** Filters that match nothing but policies that are to be deleted. */
  readonly filters: readonly string[];
  /** Policies that are to be deleted and that no filter matches. */
  readonly others: readonly XfrmPolicy[];
}

function bundle(table: readonly KernelPolicy[], doomed: readonly XfrmPolicy[]): Bundles {
  const opaque = table.flatMap((policy) => (policy.kind === 'opaque' ? [policy.text] : []));
  const found = countBy(table.flatMap((policy) => (policy.kind === 'policy' ? [filterOf(policy)] : [])));
  const filters = [...countBy(doomed.map(filterOf))].flatMap(([filter, count]) => {
    const [, address = ''] = filter.split(' ');
    const exact = found.get(filter) === count && !opaque.some((text) => text.includes(address));
    return exact && count >= MANY ? [filter] : [];
  });
  const taken = new Set(filters);
  return { filters, others: doomed.filter((policy) => !taken.has(filterOf(policy))) };
}

function countBy(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return counts;
}
