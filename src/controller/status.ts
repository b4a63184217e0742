import * as z from 'zod';
import type { IPsecNode } from '../cluster/contract/node-status.ts';
import { POLICY_PHASES } from '../cluster/contract/phases.ts';
import { parseNodes } from '../cluster/nodes.ts';
import { resolveEntries } from '../cluster/policies/entries.ts';
import { type KnownItems, type PolicyItem, parseItems } from '../cluster/policies/items.ts';
import type { ClusterObjects } from '../cluster/snapshot.ts';
import { acceptedCondition, type Condition, conditionSchema, enforcedCondition } from './conditions.ts';
import { type EnablingState, nextPhase } from './enabling.ts';
import { notEnforcing, phasesOf } from './report.ts';

/** `status` of an IPsecPolicy, with its keys in the order in which we write them. */
export const statusSchema = z.object({
  observedGeneration: z.number(),
  phase: z.enum(POLICY_PHASES),
  services: z.number(),
  pods: z.number(),
  nodes: z.number(),
  nodesEnforcing: z.number(),
  /** Nodes that enforce it, of all: `2/3`. */
  summary: z.string(),
  conditions: z.array(conditionSchema),
});

/** Without the times of its conditions. */
export type PolicyStatus = Readonly<Omit<z.infer<typeof statusSchema>, 'conditions'>> & {
  readonly conditions: readonly Condition[];
};

export interface StatusContext {
  readonly now: number;
  /** How long a node that does not take its step holds up the others. */
  readonly phaseLimitMs: number;
  /** By name of the policy: its phase before, which `policyStatuses` replaces by its phase now. */
  readonly enabling: Map<string, EnablingState>;
  /**
   * The items that were accepted before, which `policyStatuses` replaces by those that are now: nodes keep
   * them in force.
   */
  readonly accepted?: { items: KnownItems };
}

/** The status of every policy, by name. Changes nothing but `enabling` of the context. */
export function policyStatuses(
  objects: Omit<ClusterObjects, 'pods'>,
  ipsecNodes: readonly IPsecNode[],
  { now, phaseLimitMs, enabling, accepted: memory = { items: new Map() } }: StatusContext,
): Map<string, PolicyStatus> {
  const all = parseItems(objects.policies, memory.items);
  memory.items = all.known;
  const resolved = resolveEntries(all.items, objects);
  const { nodes } = parseNodes(objects.nodes, objects);
  const reports = new Map(ipsecNodes.map((report) => [report.metadata.name, report]));
  // What an item for one Service covers, and one for all of a namespace.
  const covered = new Map([
    ...Map.groupBy(resolved.entries, ({ entry }) => coverOf(entry)),
    ...Map.groupBy(resolved.entries, ({ entry }) => coverOf({ ...entry, service: '*' })),
  ]);
  const ofPolicy = Map.groupBy(all.items, ({ policy }) => policy);
  const ofName = Map.groupBy(all.items, ({ name }) => name);
  const told = Map.groupBy([...all.problems, ...resolved.problems], ({ where }) => where);
  return new Map(
    objects.policies.map((policy) => {
      const name = policy.metadata.name;
      const generation = policy.metadata.generation ?? 0;
      const problems = (told.get(`IPsecPolicy ${name}`) ?? []).map(({ message }) =>
        message.startsWith('ServiceNotFound')
          ? `${message}; what it selected, if it was there, stays in force until it is back or no item names it`
          : message,
      );
      const items = ofPolicy.get(name) ?? [];
      const state = nextPhase(
        enabling.get(name),
        { uid: policy.metadata.uid ?? '', generation },
        phasesOf({ policy, now }, nodes, reports),
        { now, limitMs: phaseLimitMs },
      );
      enabling.set(name, state);
      const missing = nodes.flatMap((node) =>
        notEnforcing(node.name, reports.get(node.name), { policy, now }),
      );
      const entries = [...new Set(items.flatMap((item) => covered.get(coverOf(item)) ?? []))];
      const services = new Set(entries.map(({ entry }) => `${entry.namespace}/${entry.service}`));
      const pods = new Set(
        entries
          .flatMap(({ slices }) => slices)
          .flatMap(({ endpoints }) => (endpoints ?? []).flatMap(({ addresses }) => addresses)),
      );
      const accepted = acceptedCondition(generation, problems, sharedNames(items, ofName));
      const enforcing = nodes.length - missing.length;
      return [
        name,
        {
          observedGeneration: generation,
          phase: state.phase,
          services: services.size,
          pods: pods.size,
          nodes: nodes.length,
          nodesEnforcing: enforcing,
          summary: `${enforcing}/${nodes.length}`,
          conditions: [
            accepted,
            enforcedCondition(generation, { items, missing, nodes: nodes.length, phase: state.phase }),
          ],
        },
      ];
    }),
  );
}

function coverOf({ namespace, service }: { readonly namespace: string; readonly service: string }): string {
  return `${namespace}/${service}`;
}

/**
 * Remarks on items that have a name in common with an item for another Service. Item names become names of
 * children, and two Services cannot have children of one name: both items are in force, under longer names.
 */
function sharedNames(
  items: readonly PolicyItem[],
  ofName: ReadonlyMap<string, readonly PolicyItem[]>,
): string[] {
  return items.flatMap(({ name, namespace, service }) => {
    const other = ofName.get(name)?.find((each) => each.namespace !== namespace || each.service !== service);
    return other === undefined
      ? []
      : [
          `item name ${JSON.stringify(name)} is also that of ${other.namespace}/${other.service} in policy ${other.policy}: its children are called ${name}.${namespace}.${service}`,
        ];
  });
}
