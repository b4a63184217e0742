import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { IPSEC_POLICY } from '../contract/resources.ts';
import {
  blockAffinitySchema,
  type ClusterObjects,
  ciliumNodeSchema,
  endpointSliceSchema,
  ipsecPolicySchema,
  nodeSchema,
  type ObjectProblem,
  podSchema,
  serviceSchema,
} from '../objects.ts';

/** An object that Trapline reads, with the list of ClusterObjects that it belongs to. */
export type ParsedObject = {
  [List in keyof ClusterObjects]-?: {
    readonly list: List;
    readonly object: NonNullable<ClusterObjects[List]>[number];
  };
}[keyof ClusterObjects];

export interface ParsedFile {
  /** Differs if the file has changed; empty if it could not be read. */
  readonly stamp: string;
  readonly objects: readonly ParsedObject[];
  readonly problems: readonly ObjectProblem[];
}

const anyObject = z.object({
  kind: z.string(),
  apiVersion: z.string().optional().catch(undefined),
  metadata: z.object({ name: z.union([z.string(), z.number()]) }).catch({ name: '(no name)' }),
});
const listSchema = z.object({
  kind: z.string().endsWith('List'),
  apiVersion: z.string().optional(),
  items: z.array(z.unknown()),
});

/**
 * Parses one manifest. If it is not YAML, or empty, what it said before stays: it may be half-written, as a
 * shell's `>` empties the file first. An object that its schema refuses keeps its former value, or is left
 * out if it has none. Objects of other kinds are skipped.
 */
export function parseFile(
  name: string,
  stamp: string,
  text: string,
  before: ParsedFile | undefined,
): ParsedFile {
  const documents = parseAllDocuments(text);
  const broken = documents.flatMap((document) => document.errors)[0];
  if (broken !== undefined) {
    const line = broken.linePos?.[0].line ?? 0;
    const reason = broken.message.split('\n')[0];
    const message = `line ${line}: ${reason}; what it said before stays in force`;
    return { stamp, objects: before?.objects ?? [], problems: [{ where: name, message }] };
  }
  if (text.trim() === '' && before !== undefined && before.objects.length > 0) {
    const message = 'is empty; what it said before stays in force until the file is deleted';
    return { stamp, objects: before.objects, problems: [{ where: name, message }] };
  }
  const objects: ParsedObject[] = [];
  const problems: ObjectProblem[] = [];
  for (const [index, document] of documents.entries()) {
    for (const raw of expand(document.toJS())) {
      const where = `${name} document ${index + 1}`;
      const parsed = parseObject(raw);
      if (typeof parsed === 'string') {
        const former = before?.objects.find(({ object }) => keyOf(object) === keyOf(raw));
        objects.push(...(former === undefined ? [] : [former]));
        problems.push({ where, message: parsed });
      } else if (parsed !== undefined) {
        objects.push(parsed);
      }
    }
  }
  return { stamp, objects, problems };
}

/**
 * The objects of a List, or the object itself. Objects of a typed list (`ServiceList`) leave out kind and
 * apiVersion.
 */
function expand(raw: unknown): unknown[] {
  const list = listSchema.safeParse(raw);
  if (list.success) {
    const { kind, apiVersion, items } = list.data;
    const typed = kind === 'List' ? {} : { kind: kind.slice(0, -'List'.length), apiVersion };
    return items.flatMap((item) => expand(typeof item === 'object' ? { ...typed, ...item } : item));
  }
  return raw === null || raw === undefined ? [] : [raw];
}

/** By kind. The group has to fit, too: a Knative Service is also of kind Service. */
const SCHEMAS = {
  Service: { list: 'services', group: 'v1', schema: serviceSchema },
  EndpointSlice: { list: 'endpointSlices', group: 'discovery.k8s.io', schema: endpointSliceSchema },
  Node: { list: 'nodes', group: 'v1', schema: nodeSchema },
  Pod: { list: 'pods', group: 'v1', schema: podSchema },
  IPsecPolicy: { list: 'policies', group: groupOf(IPSEC_POLICY.apiVersion), schema: ipsecPolicySchema },
  BlockAffinity: { list: 'blockAffinities', group: 'crd.projectcalico.org', schema: blockAffinitySchema },
  CiliumNode: { list: 'ciliumNodes', group: 'cilium.io', schema: ciliumNodeSchema },
} as const;

/** The object; or why it is refused; or undefined for a kind that Trapline does not read. */
export function parseObject(raw: unknown): ParsedObject | string | undefined {
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
  const [kind, { list, schema }] = match;
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = issue?.path ?? [];
    const value = path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
      raw,
    );
    const shown = JSON.stringify(value) ?? 'nothing';
    return `${kind} ${any.data.metadata.name}: ${path.join('.')}: ${issue?.message}, got ${shown.slice(0, 80)}`;
  }
  return { list, object: parsed.data } as ParsedObject;
}

/** Identifies an object in the cluster: `<kind> <namespace>/<name>`. */
export function keyOf(raw: unknown): string {
  const { kind, metadata } = raw as { kind?: string; metadata?: { namespace?: string; name?: string } };
  return `${kind} ${metadata?.namespace ?? 'default'}/${metadata?.name ?? ''}`;
}

/**
 * `starlingx.io` of `starlingx.io/v1`; the core group has no name, so that its version `v1` stands for it.
 */
function groupOf(apiVersion: string): string | undefined {
  return apiVersion.split('/')[0];
}
