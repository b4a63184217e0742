import type { CniVersionResult } from '@containernetworking-ts/types';
import type { PluginDeps } from './call.ts';
import { decodeConfig, SUPPORTED_VERSIONS } from './config.ts';
import { toCniError } from './effects.ts';
import { type CallVariables, parseVariables, parseVerb, type Verb } from './environment.ts';
import { CniError, CODE, errorResult } from './error.ts';

/** What a call leaves behind: text for stdout, which belongs to the protocol, and for stderr, and the exit status. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** What is left when the protocol is taken off a call. */
export interface RawCall {
  readonly verb: Exclude<Verb, 'VERSION'>;
  /** stdin, decoded and not checked. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly variables: CallVariables;
}

export interface Plugin {
  readonly name: string;
  readonly purpose: string;
  /** Resolves to what goes to stdout. */
  readonly act: (call: RawCall) => Promise<string>;
}

const NEWEST = '1.1.0';

/** One call of a plugin, from its environment and stdin to its output. Never throws: every error becomes JSON (CNI SPEC 1.1.0, section 5). */
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

/** CNI SPEC 1.1.0 VERSION: answers in the version that was asked for. Runtimes before 0.4.0 may ask with an empty stdin. */
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

/** Without CNI_COMMAND, as libcni's plugins answer a curious person. */
function about(what: string): string {
  return `CNI ${what}\nCNI protocol versions supported: ${SUPPORTED_VERSIONS.join(', ')}\n`;
}
