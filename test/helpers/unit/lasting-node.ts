import { createModeller, type Modeller } from '../../../src/agent/model/modeller.ts';
import { nextCache } from '../../../src/agent/model/next-cache.ts';
import type { ClusterObjects, Snapshot } from '../../../src/cluster/snapshot.ts';
import { planPolicies } from '../../../src/ipsec/plan/plan.ts';
import { type Accepted, acceptedSchema } from '../../../src/rundir/accepted.ts';
import { type NodeCache, nodeCacheSchema } from '../../../src/rundir/schema.ts';
import { cluster } from './objects.ts';

/** Node `a` over several agents: each has the run directory of the one before. */
export interface LastingNode {
  /** What is in force after a snapshot. */
  see(objects: Partial<ClusterObjects>, more?: Partial<Snapshot>): NodeCache;
  /** The next agent. `wall`: how far the wall clock is set while none runs; milliseconds. */
  restart(wall?: number): void;
  /** The next agent after a boot: of what the one before wrote, the state directory alone is left. */
  reboot(): void;
  wait(ms: number): void;
  problems(): string[];
  due(): boolean;
  readonly inForce: Modeller['inForce'];
  /** How often accepted.json was written. */
  written(): number;
  /** Whether plaintext to a port of an address of this node is refused, from every pod of node `b`. */
  requires(address: string, port: number): boolean;
  /** Whether what this node's pods send to a port of an address goes as ESP, or nowhere. */
  sends(address: string, port: number): boolean;
}

/** Everything that one snapshot after another makes of this node, with files as they would be read again. */
export function lastingNode(attached: Readonly<Record<string, string>> = {}): LastingNode {
  let time = 1_700_000_000_000;
  let accepted: Accepted | null = null;
  let cache: NodeCache | null = null;
  let writes = 0;
  let problems: readonly string[] = [];
  let due = (): boolean => false;
  const begin = (): Modeller =>
    createModeller(
      {
        nodeName: 'a',
        childSaScope: 'service',
        nodeTraffic: false,
        strict: false,
        protectUnlisted: true,
        phaseLimitS: 10,
      },
      {
        cache: cache !== null,
        accepted,
        keep: (next) => {
          accepted = acceptedSchema.parse(JSON.parse(JSON.stringify(next)));
          writes += 1;
          return true;
        },
        now: () => time,
      },
    );
  let modeller = begin();
  const attachments = Object.entries(attached).map(([name, address]) => ({
    pod: { namespace: 'ns', name, uid: `uid-${name}` },
    addresses: [address],
  }));
  const policies = (): ReturnType<typeof planPolicies> =>
    cache === null ? [] : planPolicies(cache, attachments);
  return {
    see(objects, more = {}) {
      const snapshot = { objects: cluster(objects), problems: [], stale: '', ...more };
      const model = modeller.model(snapshot, cache);
      problems = model.problems.map(({ where, message }) => `${where}: ${message}`);
      due = model.due;
      cache = nextCache(cache, model.content, time);
      return cache;
    },
    restart(wall = 0) {
      cache = cache === null ? null : nodeCacheSchema.parse(JSON.parse(JSON.stringify(cache)));
      time += wall;
      modeller = begin();
    },
    reboot() {
      cache = null;
      modeller = begin();
    },
    wait(ms) {
      time += ms;
    },
    problems: () => [...problems],
    due: () => due(),
    inForce: () => modeller.inForce(),
    written: () => writes,
    requires: (address, port) =>
      policies().some(
        ({ dir, selector, template }) =>
          dir === 'fwd' &&
          selector.src === '10.1.2.0/24' &&
          [`${address}/32`, '10.1.1.0/24'].includes(selector.dst) &&
          [0, port].includes(selector.dport) &&
          ['tcp', 'any'].includes(selector.proto) &&
          template.level === 'required',
      ),
    sends: (address, port) =>
      policies().some(
        ({ dir, selector }) =>
          dir === 'out' &&
          selector.sport === 0 &&
          selector.src === '10.1.1.0/24' &&
          [`${address}/32`, `${address.replace(/\.\d+$/, '.0')}/24`].includes(selector.dst) &&
          [0, port].includes(selector.dport) &&
          ['tcp', 'any'].includes(selector.proto),
      ),
  };
}
