import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Run } from '../../exec/types.ts';
import type { Hairpin } from '../../ipsec/hairpin/plan.ts';
import {
  BYPASS_6,
  BYPASS_6_LINE,
  LINK_LINES,
  LINK_LINES_6,
  LINK_SETTINGS,
  LINKS,
  ROUTE_LINES,
  RULE_REMOVAL,
  UP_LINES,
} from '../../ipsec/hairpin/render.ts';
import { failed, quietly } from './nft.ts';

export interface LinkOptions {
  readonly run: Run;
  /** Absolute path of iproute2's `ip`. */
  readonly ip: string;
  /** Folder of the kernel settings, normally `/proc/sys`. */
  readonly sysctlRoot: string;
}

/** Lays the pair, its settings, and the routes into it. Throws HairpinError, RunError. */
export async function setUpLinks(options: LinkOptions, { podCidrs }: Hairpin): Promise<void> {
  const linkLines6 = existsSync(`${options.sysctlRoot}/net/ipv6`) ? LINK_LINES_6 : [];
  const upLines = [...linkLines6, ...UP_LINES, ...ROUTE_LINES];
  if (settingsLeft(options).length === 0) {
    await batch(options, [], [...LINK_LINES, ...upLines]);
  } else {
    await batch(options, [], LINK_LINES);
    for (const { path, value } of settingsLeft(options)) {
      writeFileSync(path, value);
    }
    await batch(options, [], upLines);
  }
  if (podCidrs[6].length > 0) {
    await batch(options, [], [BYPASS_6_LINE]);
    await batch(options, ['-6'], ROUTE_LINES);
  }
}

/** A part that does not exist is no error. Throws HairpinError, RunError. */
export async function removeLinks({ run, ip }: LinkOptions): Promise<void> {
  await quietly(run, { file: ip, args: RULE_REMOVAL.split(' ') });
  await quietly(run, { file: ip, args: ['-6', ...RULE_REMOVAL.split(' ')] });
  await quietly(run, { file: ip, args: ['xfrm', 'policy', 'delete', ...BYPASS_6.split(' ')] });
  await quietly(run, { file: ip, args: ['link', 'del', LINKS[0]] });
}

/**
 * The settings of the links that have another value than they should; all settings if the links do not exist.
 */
function settingsLeft({ sysctlRoot }: LinkOptions): { readonly path: string; readonly value: string }[] {
  return [...LINK_SETTINGS]
    .map(([name, value]) => ({ path: `${sysctlRoot}/${name}`, value }))
    .filter(({ path, value }) => !existsSync(path) || readFileSync(path, 'utf8').trim() !== value);
}

/** Runs every line of a batch. A line that fails because something exists already is no error. */
async function batch(
  options: LinkOptions,
  flags: readonly string[],
  lines: readonly string[],
): Promise<void> {
  const { run, ip } = options;
  const args = [...flags, '-force', '-batch', '-'];
  const result = await run({ file: ip, args, input: `${lines.join('\n')}\n` });
  const said = result.stderr
    .split('\n')
    .filter((line) => line !== '' && !/File exists|^Command failed/.test(line));
  if (said.length > 0) {
    throw failed(ip, { ...result, stderr: said.join('; ') });
  }
}
