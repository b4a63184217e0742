import { buildNodeCache } from '../../src/agent/model/model.ts';
import type { Model, ModelInput } from '../../src/agent/model/types.ts';
import type { ClusterObjects, ObjectNames } from '../../src/cluster/snapshot.ts';
import { planConnections } from '../../src/ipsec/plan/connections.ts';
import { PRIORITY_FIRST } from '../../src/ipsec/plan/ours.ts';
import { planPolicies } from '../../src/ipsec/plan/plan.ts';
import { KINDS } from '../../src/ipsec/plan/policies/maker.ts';
import type { ConnectionConfig, Direction, XfrmPolicy } from '../../src/ipsec/plan/types.ts';
import type { NodeCache } from '../../src/rundir/schema.ts';
import { type Flow, within } from '../ipsec/plan/flow.ts';
import type { TenantPod, WorldOptions } from './tenants.ts';

/** What one node makes of a cluster, and what its policies say of a packet. */

export interface Made {
  readonly model: Model;
  readonly cache: NodeCache;
  readonly policies: readonly XfrmPolicy[];
  readonly connections: readonly ConnectionConfig[];
}

export interface Reader extends WorldOptions {
  readonly nodeName: string;
  readonly pods: readonly TenantPod[];
  /** Objects that are there and cannot be read. */
  readonly unread?: ObjectNames;
}

/**
 * What a node makes of objects after it has made `before` of others. It reads no pods but its own. @throws
 * ModelError, PlanError
 */
export function make(
  objects: ClusterObjects,
  { nodeName, pods, unread, ...options }: Reader,
  before?: Made,
): Made {
  const input: ModelInput = {
    ...options,
    objects: { ...objects, pods: objects.pods.filter(({ spec }) => spec.nodeName === nodeName) },
    nodeName,
    previous: before?.model.content ?? null,
    knownItems: before?.model.knownItems ?? new Map(),
    ...(before === undefined ? {} : { services: before.model.services, reached: before.model.reached }),
    ...(unread === undefined ? {} : { unread }),
    now: 1,
  };
  const model = buildNodeCache(input);
  const cache = { schema: 1 as const, generation: 1, writtenAt: 0, ...model.content };
  return {
    model,
    cache,
    policies: planPolicies(cache, attachmentsOf(pods, nodeName)),
    connections: planConnections(cache),
  };
}

export function attachmentsOf(
  pods: readonly TenantPod[],
  nodeName: string,
): { pod: { namespace: string; name: string; uid: string }; addresses: string[] }[] {
  return pods
    .filter(({ node, hostNetwork }) => node === nodeName && !hostNetwork)
    .map(({ namespace, name, addresses }) => ({
      pod: { namespace, name, uid: `uid-${name}` },
      addresses: [...addresses],
    }));
}

/** The answers of `within`: the same few addresses and CIDRs meet again and again. */
const known = new Map<string, boolean>();

function contains(cidr: string, address: string): boolean {
  const key = `${cidr} ${address}`;
  const before = known.get(key);
  if (before !== undefined) {
    return before;
  }
  const answer = cidr.includes(':') === address.includes(':') && within(cidr, address);
  if (known.size > 100_000) {
    known.clear();
  }
  known.set(key, answer);
  return answer;
}

export interface Verdict {
  /**
   * The matching policies of the best priority, whole: of several the kernel would take any. Empty:
   * plaintext.
   */
  readonly policies: readonly XfrmPolicy[];
  /** By a policy about a protected address, and none about whole pod CIDRs. */
  readonly listed: boolean;
}

export function verdictOf(
  policies: readonly XfrmPolicy[],
  directions: readonly Direction[],
  flow: Flow,
): Verdict {
  let best = Number.POSITIVE_INFINITY;
  let first: XfrmPolicy[] = [];
  for (const policy of policies) {
    const { src, dst, proto, sport, dport } = policy.selector;
    if (
      policy.priority <= best &&
      directions.includes(policy.dir) &&
      (proto === 'any' || proto === flow.proto) &&
      (sport === 0 || sport === flow.sport) &&
      (dport === 0 || dport === flow.dport) &&
      contains(src, flow.src) &&
      contains(dst, flow.dst)
    ) {
      first = policy.priority < best ? [policy] : [...first, policy];
      best = policy.priority;
    }
  }
  const kind = best - PRIORITY_FIRST;
  return {
    policies: first,
    listed: first.length > 0 && (kind < KINDS.unlisted || kind > KINDS.unlistedAnswer),
  };
}

/** A verdict as a text that is equal for equal treatment: templates, and the child that each reqid names. */
export function treatmentOf({ connections }: Pick<Made, 'connections'>, { policies }: Verdict): string {
  const said = policies.map(({ dir, template: { src, dst, reqid, level } }) => {
    const child = dir === 'out' ? childOf(connections, reqid) : '';
    return `${dir} ${src} to ${dst} reqid ${reqid} ${level}${child}`;
  });
  return said.length === 0 ? 'plaintext' : [...new Set(said)].sort().join(' or ');
}

function childOf(connections: readonly ConnectionConfig[], reqid: number): string {
  const children = connections.flatMap((connection) =>
    connection.children.filter((child) => child.reqid === reqid),
  );
  return children
    .map(({ name, localTs, remoteTs }) => ` by ${name} (${[...localTs].sort()} = ${[...remoteTs].sort()})`)
    .join();
}

/**
 * How many worlds a property tries: what fits into `make test`, and always the same ones, or PROPERTY_RUNS
 * new ones.
 */
export function effort(usual: number): { readonly numRuns: number; readonly seed?: number } {
  const asked = process.env.PROPERTY_RUNS;
  return asked === undefined ? { numRuns: usual, seed: 1 } : { numRuns: Number(asked) };
}
