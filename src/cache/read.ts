import { readFileSync } from 'node:fs';
import type * as z from 'zod';
import { type Heartbeat, heartbeatSchema } from './heartbeat.ts';
import { cachePath, heartbeatPath } from './paths.ts';
import { type NodeCache, nodeCacheSchema } from './schema.ts';

/** What came of reading a JSON file of ours. `message` names the file, and for bad content the field. */
export type ReadResult<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'missing' | 'unreadable' | 'invalid'; readonly message: string };

export function readNodeCache(runDir: string): ReadResult<NodeCache> {
  return readJson(cachePath(runDir), nodeCacheSchema);
}

export function readHeartbeat(runDir: string): ReadResult<Heartbeat> {
  return readJson(heartbeatPath(runDir), heartbeatSchema);
}

/** One read, one parse. */
export function readJson<T>(path: string, schema: z.ZodType<T>): ReadResult<T> {
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
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { kind: 'invalid', message: `${path}: ${issue?.path.join('.')}: ${issue?.message}` };
  }
  return { kind: 'ok', value: parsed.data };
}
