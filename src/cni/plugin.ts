import type { CniVersionResult } from '@containernetworking-ts/types';
import type { Call, PluginDeps } from './call.ts';
import { decodeConfig, parseConfig, SUPPORTED_VERSIONS } from './config.ts';
import { toCniError } from './effects.ts';
import { parseVariables, parseVerb, type Verb } from './environment.ts';
import { CniError, CODE, errorResult } from './error.ts';
import { add } from './verbs/add.ts';
import { check } from './verbs/check.ts';
import { del } from './verbs/del.ts';
import { gc } from './verbs/gc.ts';
import { status } from './verbs/status.ts';

/** What a call leaves behind: text for stdout, which belongs to the protocol, and for stderr, and the exit status. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

const NEWEST = '1.1.0';

const ACTIONS: Readonly<Record<Exclude<Verb, 'VERSION'>, (call: Call) => Promise<string>>> = {
  ADD: add,
  DEL: del,
  CHECK: check,
  GC: gc,
  STATUS: status,
};

/** One call of the plugin, from its environment and stdin to its output. Never throws: every error becomes JSON (CNI SPEC 1.1.0, section 5). */
export async function callPlugin(deps: PluginDeps): Promise<Outcome> {
  if (!deps.env.CNI_COMMAND) {
    return { stdout: '', stderr: about(deps.version), exitCode: 0 };
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
    return success(await ACTIONS[verb]({ config: parseConfig(raw, verb), variables, deps }));
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
function about(version: string): string {
  return (
    `CNI trapline plugin ${version}: IPsec for the pods of chosen services\n` +
    `CNI protocol versions supported: ${SUPPORTED_VERSIONS.join(', ')}\n`
  );
}
