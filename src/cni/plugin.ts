/**
 * The CNI plugin `trapline`: the protocol (CNI SPEC 1.1.0) around the verbs in `verbs/`. A call reads its
 * environment and stdin, decides with the plan (`ipsec/plan`) from the node cache, and writes policies and
 * the attachment record under the node's lock.
 *
 * The runtime starts it for every pod, so every import costs: `ipsec/plan`, `ipsec/xfrm`, `rundir`, `exec`,
 * `ip`, `util`, zod, and no more (test/cni/imports.test.ts); `ipam` in `warm-up.ts` alone. Nothing of the
 * agent, no API server. What a call needs of the outside comes in `PluginDeps`.
 */
import type { Call, PluginDeps } from './call.ts';
import { parseConfig } from './config.ts';
import type { Verb } from './environment.ts';
import { type Outcome, speak } from './protocol.ts';
import { add } from './verbs/add.ts';
import { check } from './verbs/check.ts';
import { del } from './verbs/del.ts';
import { gc } from './verbs/gc.ts';
import { status } from './verbs/status.ts';

const ACTIONS: Readonly<Record<Exclude<Verb, 'VERSION'>, (call: Call) => Promise<string>>> = {
  ADD: add,
  DEL: del,
  CHECK: check,
  GC: gc,
  STATUS: status,
};

/** One call of `trapline`. Never throws. */
export async function callPlugin(deps: PluginDeps): Promise<Outcome> {
  return await speak(deps, {
    name: 'trapline',
    purpose: 'IPsec for the pods of chosen services',
    act: ({ verb, raw, variables }) => ACTIONS[verb]({ config: parseConfig(raw, verb), variables, deps }),
  });
}
