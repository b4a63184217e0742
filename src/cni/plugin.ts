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
