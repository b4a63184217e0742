import * as z from 'zod';
import { resolveEntries } from '../watcher/model/entries.ts';
import { type PolicyItem, parseItems } from '../watcher/model/items.ts';
import { parseNodes } from '../watcher/model/nodes.ts';
import type { ClusterObjects, IPsecPolicy } from '../watcher/objects.ts';
import { NODE_HEARTBEAT_MS } from '../watcher/publish.ts';

/** What an agent says of its node, as far as the controller needs it. */
export const ipsecNodeSchema = z.object({
  metadata: z.object({ name: z.string() }),
  status: z
    .object({
      observedPolicies: z
        .array(z.object({ name: z.string(), uid: z.string(), generation: z.number() }))
        .catch([]),
      lastHeartbeat: z.string().catch(''),
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), message: z.string().catch('') }))
        .catch([]),
    })
    .optional(),
});

export type IPsecNode = z.infer<typeof ipsecNodeSchema>;

const conditionSchema = z.object({
  type: z.enum(['Accepted', 'Enforced']),
  status: z.enum(['True', 'False']),
  observedGeneration: z.number(),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.string(),
});

/** `status` of an IPsecPolicy, with its keys in the order in which we write them. */
export const statusSchema = z.object({
  observedGeneration: z.number(),
  services: z.number(),
  pods: z.number(),
  nodes: z.number(),
  nodesEnforcing: z.number(),
  /** `2/3` */
  summary: z.string(),
  conditions: z.array(conditionSchema),
});

export type Condition = Readonly<Omit<z.infer<typeof conditionSchema>, 'lastTransitionTime'>>;

/** Without the times of transition. */
export type PolicyStatus = Readonly<Omit<z.infer<typeof statusSchema>, 'conditions'>> & {
  readonly conditions: readonly Condition[];
};

/** Nodes, items and the like that a message names at most. */
const NAMED = 5;

/** The status of every policy, by name. Pure. */
export function policyStatuses(
  objects: Omit<ClusterObjects, 'pods'>,
  ipsecNodes: readonly IPsecNode[],
  now: number,
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
          services: services.size,
          pods: pods.size,
          nodes: nodes.length,
          nodesEnforcing: enforcing,
          summary: `${enforcing}/${nodes.length}`,
          conditions: [accepted, enforcedCondition(generation, { items, missing, nodes: nodes.length })],
        },
      ];
    }),
  );
}

function covers(
  items: readonly PolicyItem[],
  { namespace, service }: { namespace: string; service: string },
): boolean {
  return items.some(
    (item) => item.namespace === namespace && (item.service === service || item.service === '*'),
  );
}

/** Two entries in conflict: item names become names of children, and two services cannot have the same. Both are in force. */
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

/** Accepted says whether all of it can be in force: what is refused in one item leaves the others alone. */
function acceptedCondition(
  observedGeneration: number,
  problems: readonly string[],
  remarks: readonly string[],
): Condition {
  const condition = (status: Condition['status'], reason: string, message: string): Condition => ({
    type: 'Accepted',
    status,
    observedGeneration,
    reason,
    message,
  });
  const [first] = problems;
  if (first === undefined) {
    return condition('True', 'Accepted', ['every item is in force as written', ...remarks].join('; '));
  }
  const reason = /^(ServiceNotFound|PortNotFound)/.exec(first)?.[1] ?? 'InvalidItem';
  return condition('False', reason, named(problems));
}

interface Enforcement {
  readonly items: readonly PolicyItem[];
  /** Why each node that does not enforce the policy does not. */
  readonly missing: readonly string[];
  readonly nodes: number;
}

function enforcedCondition(observedGeneration: number, { items, missing, nodes }: Enforcement): Condition {
  const condition = (status: Condition['status'], reason: string, message: string): Condition => ({
    type: 'Enforced',
    status,
    observedGeneration,
    reason,
    message,
  });
  if (items.length === 0) {
    return condition('False', 'NothingToEnforce', 'no item is valid');
  }
  if (nodes === 0) {
    return condition('False', 'NoNodes', 'no node has an InternalIP and pod CIDRs');
  }
  return missing.length === 0
    ? condition('True', 'AllNodes', `enforced on ${nodes} of ${nodes} nodes`)
    : condition('False', 'NodeNotReady', named(missing));
}

function named(texts: readonly string[]): string {
  const more = texts.length > NAMED ? `; and ${texts.length - NAMED} more` : '';
  return `${texts.slice(0, NAMED).join('; ')}${more}`;
}

/** Empty if the node enforces the policy as it is now. */
function notEnforcing(
  node: string,
  report: IPsecNode | undefined,
  { policy, now }: { readonly policy: IPsecPolicy; readonly now: number },
): string[] {
  const status = report?.status;
  if (status === undefined) {
    return [`${node}: no agent has reported`];
  }
  if (!(now - Date.parse(status.lastHeartbeat) <= 3 * NODE_HEARTBEAT_MS)) {
    return [`${node}: its agent has been silent since ${status.lastHeartbeat || 'ever'}`];
  }
  const { name, uid = '', generation = 0 } = policy.metadata;
  const seen = status.observedPolicies.find((observed) => observed.name === name && observed.uid === uid);
  if (seen === undefined || seen.generation < generation) {
    return [
      `${node}: enforces ${seen === undefined ? 'nothing of it yet' : `generation ${seen.generation}`}`,
    ];
  }
  const healthy = status.conditions.find(({ type }) => type === 'Healthy');
  return healthy?.status === 'True' ? [] : [`${node}: ${healthy?.message ?? 'not healthy'}`];
}
