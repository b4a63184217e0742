import { readFileSync } from 'node:fs';
import type * as z from 'zod';
import { compile } from './compile.ts';
import { type Heartbeat, heartbeatSchema } from './heartbeat.ts';
import { cachePath, heartbeatPath } from './paths.ts';
import { type NodeCache, nodeCacheSchema } from './schema.ts';

/** The outcome of reading one of our JSON files. `message` names the file and, for bad content, the field. */
export type ReadResult<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'missing' | 'unreadable' | 'invalid'; readonly message: string };

/** A schema without defaults or transformations, and the fast test compiled from it. */
export interface Format<T> {
  readonly schema: z.ZodType<T>;
  readonly accepts: (value: unknown) => value is T;
}

export function formatOf<T>(schema: z.ZodType<T>): Format<T> {
  return { schema, accepts: compile(schema) };
}

const nodeCacheFormat = formatOf(nodeCacheSchema);
const heartbeatFormat = formatOf(heartbeatSchema);

export function readNodeCache(runDir: string): ReadResult<NodeCache> {
  return readJson(cachePath(runDir), nodeCacheFormat);
}

export function readHeartbeat(runDir: string): ReadResult<Heartbeat> {
  return readJson(heartbeatPath(runDir), heartbeatFormat);
}

/**
 * Reads and checks a file. Zod runs only for values that the fast test refuses, since it alone can say what
 * is wrong. Never throws.
 */
export function readJson<T>(path: string, { schema, accepts }: Format<T>): ReadResult<T> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT'
      ? { kind: 'missing', message: `${path}: not there` }
      : { kind: 'unreadable', message: `${path}: ${message}` };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: 'invalid', message: `${path}: not JSON: ${(error as Error).message}` };
  }
  if (accepts(value)) {
    return { kind: 'ok', value };
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { kind: 'invalid', message: `${path}: ${issue?.path.join('.')}: ${issue?.message}` };
  }
  return { kind: 'ok', value: parsed.data };
}
