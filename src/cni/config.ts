import {
  type CniVersion,
  isAtLeast,
  isKnownVersion,
  pluginConfigSchema,
} from '@containernetworking-ts/types';
import * as z from 'zod';
import { DEFAULT_RUN_DIR } from '../rundir/paths.ts';
import type { Verb } from './environment.ts';
import { CniError, CODE } from './error.ts';

/** Versions of the protocol that `trapline` speaks. */
export const SUPPORTED_VERSIONS: readonly CniVersion[] = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];

const absolutePath = z.string().startsWith('/', 'must be an absolute path');

/**
 * The configuration on stdin: what the protocol defines, and the keys of `trapline`. README.md explains each.
 */
export const traplineConfigSchema = pluginConfigSchema.extend({
  runDir: absolutePath.default(DEFAULT_RUN_DIR),
  /** What ADD does if the pod is not in the node cache within `cacheWaitMs`. */
  onCacheMiss: z.enum(['fail', 'pass']).default('fail'),
  /** Milliseconds that ADD waits for the pod to appear in the node cache. */
  cacheWaitMs: z.number().int().min(0).max(120_000).default(5_000),
  /** Milliseconds after which STATUS calls the cache too old. */
  cacheMaxAgeMs: z.number().int().positive().default(600_000),
  /** Milliseconds that a verb waits for the lock of the node. */
  lockWaitMs: z.number().int().min(0).max(120_000).default(20_000),
  /** Path of iproute2's `ip`. If it is absent, the plugin looks in the system's folders. */
  ip: absolutePath.optional(),
});

export type TraplineConfig = z.infer<typeof traplineConfigSchema> & {
  readonly cniVersion: CniVersion;
  readonly name: string;
};

/** The version of the protocol that brought a verb; others are in all versions. */
const LEAST_VERSION: Partial<Record<Verb, CniVersion>> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' };

/** Decodes stdin. Throws CniError 6. */
export function decodeConfig(stdin: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(stdin);
  } catch (error) {
    throw new CniError(CODE.decode, `stdin: not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CniError(CODE.decode, 'stdin: not a JSON object');
  }
  return value as Record<string, unknown>;
}

/**
 * Checks the configuration for a verb. Throws CniError 1 (version), 6 (a value of the wrong type) or 7 (any
 * other invalid value).
 */
export function parseConfig(raw: Readonly<Record<string, unknown>>, verb: Verb): TraplineConfig {
  const cniVersion = checkVersion(raw.cniVersion, verb);
  const parsed = traplineConfigSchema.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const code = issue?.code === 'invalid_type' ? CODE.decode : CODE.invalidConfig;
    const path = issue?.path ?? [];
    throw new CniError(code, `${path.join('.')}: ${issue?.message}, got ${show(raw, path)}`);
  }
  return { ...parsed.data, cniVersion, name: checkName(parsed.data.name) };
}

/** Returns the network name if it is one (CNI SPEC 1.1.0, section 1). Throws CniError 7. */
export function checkName(name: unknown): string {
  if (typeof name !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw new CniError(CODE.invalidConfig, `name: ${JSON.stringify(name ?? '')} is not a network name`);
  }
  return name;
}

/** Returns the version that the configuration names. Throws CniError 1 or 6. */
export function checkVersion(value: unknown, verb: Verb): CniVersion {
  const version = value ?? '0.1.0';
  if (typeof version !== 'string') {
    throw new CniError(CODE.decode, `cniVersion: must be a string, got ${JSON.stringify(value)}`);
  }
  if (!isKnownVersion(version) || !SUPPORTED_VERSIONS.includes(version)) {
    const supported = SUPPORTED_VERSIONS.join(', ');
    throw new CniError(
      CODE.incompatibleVersion,
      `cniVersion: ${JSON.stringify(version)} is not one of ${supported}`,
    );
  }
  const least = LEAST_VERSION[verb];
  if (least !== undefined && !isAtLeast(version, least)) {
    throw new CniError(CODE.incompatibleVersion, `cniVersion: ${version} has no ${verb}, ${least} has`);
  }
  return version;
}

/** The refused value, cut to a length that a log line bears. */
function show(raw: unknown, path: readonly PropertyKey[]): string {
  const value = path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    raw,
  );
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
