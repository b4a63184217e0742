import * as z from 'zod';
import type { IPsecNode } from '../cluster/contract/node-status.ts';
import { POLICY_PHASES } from '../cluster/contract/phases.ts';
import { parseNodes } from '../cluster/nodes.ts';
import type { ClusterObjects } from '../cluster/objects.ts';
import { resolveEntries } from '../cluster/policies/entries.ts';
import { type PolicyItem, parseItems } from '../cluster/policies/items.ts';
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
}

/** The status of every policy, by name. Changes nothing but `enabling` of the context. */
export function policyStatuses(
  objects: Omit<ClusterObjects, 'pods'>,
  ipsecNodes: readonly IPsecNode[],
  { now, phaseLimitMs, enabling }: StatusContext,
): Map<string, PolicyStatus> {
  const all = parseItems(objects.policies, new Map());
  const resolved = resolveEntries(all.items, objects);
  const { nodes } = parseNodes(objects.nodes, objects);
  const reports = new Map(ipsecNodes.map((report) => [report.metadata.name, report]));
  return new Map(
    objects.policies.map((policy) => {
      const name = policy.metadata.name;
      const generation = policy.metadata.generation ?? 0;
      const problems = [...all.problems, ...resolved.problems]
        .filter(({ where }) => where === `IPsecPolicy ${name}`)
        .map(({ message }) => message);
      const items = all.items.filter(({ policy: owner }) => owner === name);
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
      const slices = resolved.entries
        .filter(({ entry }) => covers(items, entry))
        .flatMap((entry) => entry.slices);
      const services = new Set(
        resolved.entries
          .filter(({ entry }) => covers(items, entry))
          .map(({ entry }) => `${entry.namespace}/${entry.service}`),
      );
      const pods = new Set(
        slices.flatMap(({ endpoints }) => (endpoints ?? []).flatMap(({ addresses }) => addresses)),
      );
      const accepted = acceptedCondition(generation, problems, sharedNames(items, all.items));
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

/** Whether one of the items names this Service. */
function covers(
  items: readonly PolicyItem[],
  { namespace, service }: { namespace: string; service: string },
): boolean {
  return items.some(
    (item) => item.namespace === namespace && (item.service === service || item.service === '*'),
  );
}

/**
 * Remarks on items that have a name in common with an item for another Service. Item names become names of
 * children, and two Services cannot have children of one name: both items are in force, under longer names.
 */
function sharedNames(items: readonly PolicyItem[], all: readonly PolicyItem[]): string[] {
  return items.flatMap(({ name, namespace, service }) => {
    const other = all.find(
      (each) => each.name === name && (each.namespace !== namespace || each.service !== service),
    );
    return other === undefined
      ? []
      : [
          `item name ${JSON.stringify(name)} is also that of ${other.namespace}/${other.service} in policy ${other.policy}: its children are called ${name}.${namespace}.${service}`,
        ];
  });
}
