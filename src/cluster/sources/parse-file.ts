import { parseAllDocuments } from 'yaml';
import * as z from 'zod';
import type { ClusterObjects, ObjectProblem } from '../snapshot.ts';
import { keyOf, listOfKind, type ParsedObject, parseObject } from './parse-object.ts';

export interface ParsedFile {
  /** Differs if the file has changed; empty if it could not be read. */
  readonly stamp: string;
  readonly objects: readonly ParsedObject[];
  /** Objects that their schemas refuse, or of which something is left out. */
  readonly unread: readonly UnreadObject[];
  /** Nobody knows what the file is about: it never could be read. */
  readonly opaque?: boolean;
  readonly problems: readonly ObjectProblem[];
}

export interface UnreadObject {
  readonly list: keyof ClusterObjects;
  /** `name`, or `namespace/name` of what has a namespace. */
  readonly name: string;
}

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
    return { ...keeping(before), stamp, problems: [{ where: name, message }] };
  }
  if (text.trim() === '' && before !== undefined && before.objects.length > 0) {
    const message = 'is empty; what it said before stays in force until the file is deleted';
    return { ...keeping(before), stamp, problems: [{ where: name, message }] };
  }
  const formerly = new Map((before?.objects ?? []).map((each) => [keyOf(each.object), each]));
  const objects: ParsedObject[] = [];
  const unread: UnreadObject[] = [];
  const problems: ObjectProblem[] = [];
  for (const [index, document] of documents.entries()) {
    for (const raw of expand(document.toJS())) {
      const where = `${name} document ${index + 1}`;
      const former = formerly.get(keyOf(raw));
      const parsed = parseObject(raw, former?.object);
      if (typeof parsed === 'string') {
        objects.push(...(former === undefined ? [] : [former]));
        unread.push(...unreadOf(raw));
        problems.push({ where, message: parsed });
      } else if (parsed !== undefined) {
        objects.push(parsed);
        if (parsed.flaw !== undefined) {
          unread.push(...unreadOf(raw));
          problems.push({ where, message: parsed.flaw });
        }
      }
    }
  }
  return { stamp, objects, unread, problems };
}

/** What a file that cannot be read at the moment still says. */
export function keeping(before: ParsedFile | undefined): Pick<ParsedFile, 'objects' | 'unread' | 'opaque'> {
  const { objects = [], unread = [], opaque = before === undefined } = before ?? {};
  return { objects, unread, opaque };
}

const named = z.object({
  kind: z.string(),
  metadata: z.object({ name: z.coerce.string(), namespace: z.string().optional().catch(undefined) }),
});
const NAMESPACED: readonly string[] = ['services', 'endpointSlices', 'pods'];

function unreadOf(raw: unknown): UnreadObject[] {
  const parsed = named.safeParse(raw);
  const list = listOfKind(parsed.data?.kind ?? '');
  if (parsed.data === undefined || list === undefined) {
    return [];
  }
  const { name, namespace = 'default' } = parsed.data.metadata;
  return [{ list, name: NAMESPACED.includes(list) ? `${namespace}/${name}` : name }];
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
