import type { XfrmPolicy } from '../../plan/types.ts';
import { type Iproute2, runIp } from '../iproute2.ts';
import type { KernelPolicy } from '../kernel-policy.ts';
import { applyOperations } from './apply.ts';
import { lookUp } from './standing.ts';

/** A process of its own costs as much as some hundred lines of a batch. */
const MANY = 256;

/**
 * Deletes the policies of ours that stand in the kernel at the keys of these. A line of `ip -batch` deletes by selector alone, so the kernel
 * is asked first what stands there: a policy that is not ours stays. Of thousands, those of one address, direction and priority go with one
 * `ip xfrm policy deleteall`, which takes less than half of the time, unless anything else is there.
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

/** One after the other: none goes on when the caller gives up the lock. False as soon as `ip` refuses one. */
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
 * What a pod's policies have in common, as a filter of `deleteall`: `src 10.1.0.3 dir out priority 1100`. It compares all bits of the address,
 * whatever the policy's prefix.
 */
function filterOf({ dir, selector, priority }: Pick<XfrmPolicy, 'dir' | 'selector' | 'priority'>): string {
  const [side, cidr] = dir === 'out' ? ['src', selector.src] : ['dst', selector.dst];
  return `${side} ${cidr.replace(/\/.*/, '')} dir ${dir} priority ${priority}`;
}

interface Bundles {
  /** Each finds nothing but policies that are to go. */
  readonly filters: readonly string[];
  /** What is to go and no filter finds. */
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
