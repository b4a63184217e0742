import * as z from 'zod';
import { messageOf } from '../../util/message-of.ts';
import { printable, shown } from '../../util/printable.ts';
import { BOUNDS } from '../bounds.ts';
import { confirmingNodeSchema } from '../contract/confirming-node.ts';
import { IPSEC_NODE, IPSEC_POLICY } from '../contract/resources.ts';
import {
  blockAffinitySchema,
  ciliumNodeSchema,
  endpointSliceSchema,
  ipsecPolicySchema,
  nodeSchema,
  podSchema,
  serviceSchema,
} from '../objects.ts';
import type { ClusterObjects } from '../snapshot.ts';
import { bounded, type Listed } from './bounded.ts';
import { type Part, parseTolerantly } from './tolerant.ts';

/** An object that Trapline reads. `flaw`: what of it is not in force as written; absent if all of it is. */
export type ParsedObject = Listed & { readonly flaw?: string };

const anyObject = z.object({
  kind: z.string(),
  apiVersion: z.string().optional().catch(undefined),
  metadata: z.object({ name: z.union([z.string(), z.number()]) }).catch({ name: '(no name)' }),
});

/**
 * By kind. The group has to fit, too: a Knative Service is also of kind Service. `parts` count one by one.
 * Whatever else is malformed, and above all what says which pods are protected, refuses the object as a
 * whole, so that it keeps its former value: its meaning without the malformed field could be less protection.
 */
const SCHEMAS = {
  Service: {
    list: 'services',
    group: 'v1',
    schema: serviceSchema,
    parts: [{ path: ['spec', 'ports', '*'], keys: portKeys }],
  },
  EndpointSlice: {
    list: 'endpointSlices',
    group: 'discovery.k8s.io',
    schema: endpointSliceSchema,
    parts: [
      { path: ['endpoints', '*'] },
      { path: ['endpoints', '*', 'addresses', '*'] },
      { path: ['endpoints', '*', 'nodeName'] },
      { path: ['endpoints', '*', 'targetRef'] },
      { path: ['ports', '*'], keys: portKeys },
    ],
  },
  Node: {
    list: 'nodes',
    group: 'v1',
    schema: nodeSchema,
    parts: [{ path: ['status', 'addresses', '*'], keys: addressKeys }],
  },
  Pod: {
    list: 'pods',
    group: 'v1',
    schema: podSchema,
    parts: [
      { path: ['spec', 'containers', '*'] },
      { path: ['spec', 'containers', '*', 'ports', '*'] },
      { path: ['spec', 'initContainers', '*'] },
      { path: ['spec', 'initContainers', '*', 'ports', '*'] },
      { path: ['status', 'podIP'] },
      { path: ['status', 'podIPs', '*'] },
    ],
  },
  IPsecPolicy: {
    list: 'policies',
    group: groupOf(IPSEC_POLICY.apiVersion),
    schema: ipsecPolicySchema,
    parts: [],
  },
  BlockAffinity: {
    list: 'blockAffinities',
    group: 'crd.projectcalico.org',
    schema: blockAffinitySchema,
    parts: [],
  },
  CiliumNode: { list: 'ciliumNodes', group: 'cilium.io', schema: ciliumNodeSchema, parts: [] },
  IPsecNode: {
    list: 'ipsecNodes',
    group: groupOf(IPSEC_NODE.apiVersion),
    schema: confirmingNodeSchema,
    parts: [],
  },
} as const satisfies Readonly<
  Record<string, { list: keyof ClusterObjects; group: string; schema: z.ZodType; parts: readonly Part[] }>
>;

/**
 * The object; or why it is refused; or undefined for a kind that Trapline does not read. `former`: the object
 * as it was understood before, if it was. Never throws.
 */
export function parseObject(raw: unknown, former?: object): ParsedObject | string | undefined {
  try {
    return parse(raw, former);
  } catch (error) {
    // Nested deeper than the stack allows, and the like.
    return `not understood: ${printable(messageOf(error), BOUNDS.charactersPerProblem)}`;
  }
}

function parse(raw: unknown, former: object | undefined): ParsedObject | string | undefined {
  const any = anyObject.safeParse(raw);
  if (!any.success) {
    return 'not a Kubernetes object: it has no kind';
  }
  const group = any.data.apiVersion === undefined ? undefined : groupOf(any.data.apiVersion);
  const match = Object.entries(SCHEMAS).find(
    ([kind, read]) => kind === any.data.kind && (group === undefined || group === read.group),
  );
  if (match === undefined) {
    return undefined;
  }
  const [kind, { list, schema, parts }] = match;
  const say = (reason: string): string =>
    printable(`${kind} ${any.data.metadata.name}: ${reason}`, BOUNDS.charactersPerProblem);
  const parsed = parseTolerantly<ParsedObject['object']>(schema, { raw, former, parts });
  if (parsed.kind === 'refused') {
    return say(parsed.reason);
  }
  const within = bounded({ list, object: parsed.value } as Listed);
  if (within === undefined) {
    return say(`larger than ${BOUNDS.charactersPerObject} characters, without what Trapline does not read`);
  }
  const { count, first } = parsed.flaws;
  const more = count > 1 ? ` (and ${count - 1} more)` : '';
  const flaw = [count === 0 ? '' : `${first}${more}`, within.excess].filter((text) => text !== '').join('; ');
  const result = { list, object: within.object, ...(flaw === '' ? {} : { flaw: say(flaw) }) };
  return result as ParsedObject;
}

/** The list that objects of a kind are in; undefined if Trapline does not read the kind. */
export function listOfKind(kind: string): keyof ClusterObjects | undefined {
  return Object.entries(SCHEMAS).find(([name]) => name === kind)?.[1].list;
}

/** Ports of a Service or a slice have names if there are several of a protocol. */
function portKeys(list: readonly unknown[]): string[] {
  return list.map((each) => {
    const { name, protocol } = Object(each) as { name?: unknown; protocol?: unknown };
    return `${shown(protocol ?? 'TCP', 10)}/${shown(name ?? '', 100)}`;
  });
}

/** The second InternalIP of a Node is known as such. */
function addressKeys(list: readonly unknown[]): string[] {
  const counts = new Map<unknown, number>();
  return list.map((each) => {
    const { type } = Object(each) as { type?: unknown };
    const count = counts.get(type) ?? 0;
    counts.set(type, count + 1);
    return `${shown(type, 100)} ${count}`;
  });
}

/** Identifies an object in the cluster: `<kind> <namespace>/<name>`. */
export function keyOf(raw: unknown): string {
  const { kind, metadata } = Object(raw) as {
    kind?: unknown;
    metadata?: { namespace?: unknown; name?: unknown };
  };
  const text = (part: unknown): string => (typeof part === 'string' ? part : '');
  return `${text(kind)} ${text(metadata?.namespace ?? 'default')}/${text(metadata?.name)}`;
}

/**
 * `starlingx.io` of `starlingx.io/v1`; the core group has no name, so that its version `v1` stands for it.
 */
function groupOf(apiVersion: string): string {
  return apiVersion.split('/')[0] ?? '';
}
