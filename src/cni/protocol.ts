import type { CniVersionResult } from '@containernetworking-ts/types';
import type { PluginDeps } from './call.ts';
import { decodeConfig, SUPPORTED_VERSIONS } from './config.ts';
import { toCniError } from './effects.ts';
import { type CallVariables, parseVariables, parseVerb, type Verb } from './environment.ts';
import { CniError, CODE, errorResult } from './error.ts';

/** What a call leaves behind: stdout belongs to the protocol, stderr to people. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** A call without what is the same for every plugin. */
export interface RawCall {
  readonly verb: Exclude<Verb, 'VERSION'>;
  /** stdin, decoded as JSON but not checked. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly variables: CallVariables;
}

export interface Plugin {
  readonly name: string;
  readonly purpose: string;
  /** Does the work. Resolves to the text for stdout. */
  readonly act: (call: RawCall) => Promise<string>;
}

/** The newest version that we speak; answers come in it if the caller names none that we speak. */
const NEWEST = '1.1.0';

/**
 * One call of a plugin, from its environment and stdin to its output. Never throws: every error becomes a
 * JSON error result (CNI SPEC 1.1.0, section 5).
 */
export async function speak(deps: PluginDeps, { name, purpose, act }: Plugin): Promise<Outcome> {
  if (!deps.env.CNI_COMMAND) {
    return { stdout: '', stderr: about(`${name} plugin ${deps.version}: ${purpose}`), exitCode: 0 };
  }
  let cniVersion: string = NEWEST;
  try {
    const verb = parseVerb(deps.env);
    const stdin = deps.stdin();
    if (verb === 'VERSION') {
      return success(JSON.stringify(versionResult(stdin)));
    }
    const raw = decodeConfig(stdin);
    if (SUPPORTED_VERSIONS.some((version) => version === raw.cniVersion)) {
      cniVersion = String(raw.cniVersion);
    }
    const variables = parseVariables(deps.env, verb);
    return success(await act({ verb, raw, variables }));
  } catch (error) {
    const stdout = JSON.stringify(errorResult(toCniError(error), cniVersion));
    return { stdout, stderr: '', exitCode: 1 };
  }
}

/**
 * CNI SPEC 1.1.0 VERSION: answers in the version that the caller asks in. Runtimes before 0.4.0 may ask with
 * an empty stdin.
 */
function versionResult(stdin: string): CniVersionResult {
  const { cniVersion } = stdin.trim() === '' ? {} : decodeConfig(stdin);
  if (cniVersion !== undefined && typeof cniVersion !== 'string') {
    throw new CniError(CODE.decode, `cniVersion: must be a string, got ${JSON.stringify(cniVersion)}`);
  }
  return { cniVersion: cniVersion ?? NEWEST, supportedVersions: [...SUPPORTED_VERSIONS] };
}

function success(stdout: string): Outcome {
  return { stdout, stderr: '', exitCode: 0 };
}

/** What the plugin says to a person who starts it without CNI_COMMAND, as libcni has its plugins say it. */
function about(what: string): string {
  return `CNI ${what}\nCNI protocol versions supported: ${SUPPORTED_VERSIONS.join(', ')}\n`;
}
