import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import {
  type ClusterObjects,
  endpointSliceSchema,
  ipsecPolicySchema,
  nodeSchema,
  type ObjectProblem,
  podSchema,
  serviceSchema,
} from '../objects.ts';

/** One object of a manifest, with the list that it belongs to. */
export type ParsedObject = {
  [List in keyof ClusterObjects]: { readonly list: List; readonly object: ClusterObjects[List][number] };
}[keyof ClusterObjects];

export interface ParsedFile {
  /** Tells whether the file changed. */
  readonly stamp: string;
  readonly objects: readonly ParsedObject[];
  readonly problems: readonly ObjectProblem[];
}

const anyObject = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string().optional() }).optional(),
});
const listSchema = z.object({ kind: z.string().endsWith('List'), items: z.array(z.unknown()) });

/**
 * Parses one manifest. If it is not YAML, what it said before stays (it may be half-written); an object that is not what its kind
 * needs is left out, or keeps its former value. Other kinds are none of our business.
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

function expand(raw: unknown): unknown[] {
  const list = listSchema.safeParse(raw);
  if (list.success) {
    return list.data.items.flatMap(expand);
  }
  return raw === null || raw === undefined ? [] : [raw];
}

const SCHEMAS = {
  Service: { list: 'services', schema: serviceSchema },
  EndpointSlice: { list: 'endpointSlices', schema: endpointSliceSchema },
  Node: { list: 'nodes', schema: nodeSchema },
  Pod: { list: 'pods', schema: podSchema },
  IPsecPolicy: { list: 'policies', schema: ipsecPolicySchema },
} as const;

/** The object; why it is refused; or undefined for a kind that we do not read. */
function parseObject(raw: unknown): ParsedObject | string | undefined {
  const any = anyObject.safeParse(raw);
  if (!any.success) {
    return 'not a Kubernetes object: it has no kind';
  }
  const known = Object.entries(SCHEMAS).find(([kind]) => kind === any.data.kind);
  if (known === undefined) {
    return undefined;
  }
  const [kind, { list, schema }] = known;
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = issue?.path ?? [];
    const value = path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
      raw,
    );
    const shown = JSON.stringify(value) ?? 'nothing';
    return `${kind} ${any.data.metadata?.name ?? '(no name)'}: ${path.join('.')}: ${issue?.message}, got ${shown.slice(0, 80)}`;
  }
  return { list, object: parsed.data } as ParsedObject;
}

/** Identifies an object in the cluster. */
export function keyOf(raw: unknown): string {
  const { kind, metadata } = raw as { kind?: string; metadata?: { namespace?: string; name?: string } };
  return `${kind} ${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}
