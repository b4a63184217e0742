import { parseArgs } from './args.ts';
import { CniError, CODE } from './error.ts';

export const VERBS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type Verb = (typeof VERBS)[number];

export type Environment = Readonly<Record<string, string | undefined>>;

/** The checked variables of one call. An optional one that is absent is empty. */
export interface CallVariables {
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: string;
  /** CNI_NETNS_OVERRIDE: CNI_NETNS may be the node's own network namespace. */
  readonly netnsOverride: boolean;
  /** Empty for the verbs that do not use CNI_ARGS: a malformed CNI_ARGS must not fail a DEL. */
  readonly args: ReadonlyMap<string, string>;
}

interface Variable {
  readonly name: string;
  readonly requiredBy: readonly Verb[];
  /** Says why a value is refused; undefined if it is not. */
  readonly refuse: (value: string) => string | undefined;
}

/** CNI SPEC 1.1.0, section 2: which verb needs which variable, and what the value may be. */
const VARIABLES: readonly Variable[] = [
  {
    name: 'CNI_CONTAINERID',
    requiredBy: ['ADD', 'DEL', 'CHECK'],
    refuse: (value) =>
      /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(value)
        ? undefined
        : 'must start with a letter or digit, then letters, digits, ".", "_" or "-"',
  },
  {
    name: 'CNI_NETNS',
    requiredBy: ['ADD', 'CHECK'],
    refuse: (value) => (value.startsWith('/') ? undefined : 'is not an absolute path'),
  },
  { name: 'CNI_IFNAME', requiredBy: ['ADD', 'DEL', 'CHECK'], refuse: refuseIfName },
  { name: 'CNI_ARGS', requiredBy: [], refuse: () => undefined },
  { name: 'CNI_PATH', requiredBy: ['GC'], refuse: () => undefined },
];

/** The verb of the call. Throws CniError 4. */
export function parseVerb(env: Environment): Verb {
  const value = env.CNI_COMMAND;
  const verb = VERBS.find((each) => each === value);
  if (verb === undefined) {
    throw new CniError(CODE.badEnvironment, `CNI_COMMAND: unknown verb ${JSON.stringify(value ?? '')}`);
  }
  return verb;
}

/**
 * The variables that the verb uses. Throws CniError 4, which names every missing one, or else the first
 * malformed one.
 */
export function parseVariables(env: Environment, verb: Verb): CallVariables {
  const missing = VARIABLES.filter(({ name, requiredBy }) => requiredBy.includes(verb) && !env[name]);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(', ');
    throw new CniError(CODE.badEnvironment, `required environment variables missing: ${names}`);
  }
  for (const { name, requiredBy, refuse } of VARIABLES) {
    const value = env[name] ?? '';
    const reason = requiredBy.includes(verb) ? refuse(value) : undefined;
    if (reason !== undefined) {
      throw new CniError(CODE.badEnvironment, `${name}: ${JSON.stringify(value)} ${reason}`);
    }
  }
  return {
    containerId: env.CNI_CONTAINERID ?? '',
    ifName: env.CNI_IFNAME ?? '',
    netns: env.CNI_NETNS ?? '',
    netnsOverride: /^(1|true)$/i.test(env.CNI_NETNS_OVERRIDE ?? ''),
    args: verb === 'ADD' || verb === 'CHECK' ? parseArgs(env.CNI_ARGS ?? '') : new Map(),
  };
}

function refuseIfName(value: string): string | undefined {
  if (Buffer.byteLength(value) > 15) {
    return 'is longer than 15 bytes';
  }
  return value === '.' || value === '..' || /[/:\s]/.test(value)
    ? 'is "." or "..", or has "/", ":" or white space'
    : undefined;
}
