import type { Direction } from '../ipsec/plan/types.ts';
import { ownPolicies } from '../ipsec/xfrm/kernel-policy.ts';
import { HEARTBEAT_STALE_MS, silenceOf } from '../rundir/heartbeat.ts';
import type { NodeCache } from '../rundir/schema.ts';
import { type Comparison, comparePlan, inStep } from './compare.ts';
import type { NodeView } from './view.ts';

/** A cache of this age is too old. STATUS of the plugin has the same limit by default (`cacheMaxAgeMs`). */
const CACHE_STALE_MS = 600_000;

/** One part of the node. `problem` is empty if the part is well. */
export interface Part {
  readonly name:
    | 'agent'
    | 'charon'
    | 'source'
    | 'reconcile'
    | 'hairpin'
    | 'peers'
    | 'objects'
    | 'cache'
    | 'attachments'
    | 'policies';
  readonly facts: string;
  readonly problem: string;
}

export interface Status {
  readonly healthy: boolean;
  readonly node: string | null;
  readonly parts: readonly Part[];
  /** Our policies in the kernel; null if it could not be read. */
  readonly kernel: Readonly<Record<Direction, number>> | null;
  readonly comparison: Comparison;
}

/** What `traplinectl status` says of a node. Without effects. */
export function statusOf(view: NodeView): Status {
  const comparison = comparePlan(view);
  const kernel = view.kernel.kind === 'ok' ? byDirection(view.kernel.policies) : null;
  const parts = [...agentParts(view), cachePart(view), attachmentPart(view), policyPart(comparison, kernel)];
  return {
    healthy: parts.every(({ problem }) => problem === ''),
    node: view.cache.kind === 'ok' ? view.cache.value.node.name : null,
    parts,
    kernel,
    comparison,
  };
}

function agentParts({ heartbeat, cache, now, uptime }: NodeView): Part[] {
  if (heartbeat.kind !== 'ok') {
    return [{ name: 'agent', facts: 'not alive', problem: heartbeat.message }];
  }
  const { pid, version, charonError, sourceError, reconcileError, enforcedGeneration } = heartbeat.value;
  const { hairpinError, problems, failures = [] } = heartbeat.value;
  const silence = silenceOf(heartbeat.value, { now, uptime });
  if (silence > HEARTBEAT_STALE_MS) {
    return [{ name: 'agent', facts: 'not alive', problem: `pid ${pid} silent for ${seconds(silence)}` }];
  }
  const generation = cache.kind === 'ok' ? cache.value.generation : enforcedGeneration;
  const behind =
    enforcedGeneration < generation ? `generation ${enforcedGeneration} of ${generation} enforced` : '';
  return [
    { name: 'agent', facts: `alive, pid ${pid}, version ${version}`, problem: '' },
    { name: 'charon', facts: charonError === '' ? 'answers' : 'does not answer', problem: charonError },
    { name: 'source', facts: sourceError === '' ? 'in sync' : 'not in sync', problem: sourceError },
    {
      name: 'reconcile',
      facts: `generation ${enforcedGeneration} enforced`,
      problem: reconcileError === '' ? behind : reconcileError,
    },
    {
      name: 'hairpin',
      facts: hairpinError === '' ? 'in step' : 'not in step',
      problem: hairpinError,
    },
    {
      name: 'peers',
      facts: failures.length === 0 ? 'no negotiation fails' : 'negotiations fail',
      problem: failures.join('; '),
    },
    {
      name: 'objects',
      facts: problems.length === 0 ? 'all in force' : 'not in force as written',
      problem: problems.join('; '),
    },
  ];
}

function cachePart({ cache, closed, now }: NodeView): Part {
  if (cache.kind !== 'ok') {
    return { name: 'cache', facts: cache.kind, problem: cache.message };
  }
  const age = now - cache.value.writtenAt;
  return {
    name: 'cache',
    facts: `generation ${cache.value.generation}, ${seconds(age)} old, ${contents(cache.value)}`,
    problem: age > CACHE_STALE_MS ? `older than ${seconds(CACHE_STALE_MS)}` : closed,
  };
}

function contents({ peers, entries, pods, mesh, childSaScope }: NodeCache): string {
  const scope = mesh ? 'mesh' : `child SA scope ${childSaScope}`;
  return `${peers.length} peers, ${entries.length} entries, ${pods.length} pods, ${scope}`;
}

function attachmentPart({ attachments: { records, problems } }: NodeView): Part {
  return { name: 'attachments', facts: `${records.length}`, problem: problems.join('; ') };
}

function policyPart(comparison: Comparison, kernel: Status['kernel']): Part {
  const facts =
    kernel === null
      ? 'unknown'
      : `${kernel.out} out, ${kernel.fwd} fwd, ${kernel.in} in of ours in the kernel`;
  if (comparison.kind === 'unknown') {
    return { name: 'policies', facts, problem: comparison.reason };
  }
  const { planned, missing, different, surplus, conflicts } = comparison;
  const counts = { missing, different, 'not planned': surplus, 'place taken by another': conflicts };
  const said = Object.entries(counts).flatMap(([what, { length }]) =>
    length > 0 ? `${length} ${what}` : [],
  );
  return inStep(comparison)
    ? { name: 'policies', facts: `${facts}, in step with the plan`, problem: '' }
    : { name: 'policies', facts, problem: `not in step with the plan of ${planned}: ${said.join(', ')}` };
}

function byDirection(policies: Parameters<typeof ownPolicies>[0]): Record<Direction, number> {
  const counts = { out: 0, fwd: 0, in: 0 };
  for (const { dir } of ownPolicies(policies)) {
    counts[dir] += 1;
  }
  return counts;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
