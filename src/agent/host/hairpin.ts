/**
 * The room `agent/host` brings the machine around XFRM in step: the hairpin (this file), sysctls, hash
 * thresholds of the policy table, and routes where no other CNI keeps them. What it changes for the whole
 * machine it writes down in the run directory, so that `trapline-agent cleanup` can put it back. It takes the
 * runner of processes as an argument, imports `ipsec/hairpin` and `ipsec/plan`, and knows nothing of the
 * loop.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Run, RunResult } from '../../exec/types.ts';
import { type Hairpin, planHairpin } from '../../ipsec/hairpin/plan.ts';
import {
  BYPASS_6,
  BYPASS_6_LINE,
  LINK_LINES,
  LINK_LINES_6,
  LINK_SETTINGS,
  LINKS,
  ROUTE_LINES,
  RULE_REMOVAL,
  renderTable,
  TABLE,
  UP_LINES,
} from '../../ipsec/hairpin/render.ts';
import type { NodeCache } from '../../rundir/schema.ts';

export interface HairpinOptions {
  readonly run: Run;
  /** Absolute paths of iproute2's `ip` and of `nft`. */
  readonly ip: string;
  readonly nft: string;
  /** Folder of the kernel settings, normally `/proc/sys`. */
  readonly sysctlRoot: string;
}

export class HairpinError extends Error {
  override readonly name = 'HairpinError';
}

/**
 * Brings the hairpin in step with the cache. What is in step already is looked at again after VERIFY_MS.
 * Throws HairpinError, RunError.
 */
export type KeepHairpin = (cache: NodeCache) => Promise<void>;

const VERIFY_MS = 30_000;

/**
 * Remembers what nft lists after we loaded the table: if it later lists something else, somebody has changed
 * the table.
 */
export function createHairpin(options: HairpinOptions, now: () => number): KeepHairpin {
  let loaded: { wanted: string; listing: string; at: number } | null = null;
  return async (cache) => {
    const hairpin = planHairpin(cache);
    const wanted = hairpin === null ? '' : renderTable(hairpin);
    const same = loaded?.wanted === wanted;
    if (same && (hairpin === null || now() - (loaded?.at ?? 0) < VERIFY_MS)) {
      return;
    }
    if (hairpin === null) {
      await removeHairpin(options);
    } else {
      await setUpLinks(options, hairpin);
      const listing = same ? await listTable(options) : '';
      if (same && listing === loaded?.listing) {
        loaded = { wanted, listing, at: now() };
        return;
      }
      await must(options, { file: options.nft, args: ['-f', '-'], input: wanted });
    }
    loaded = { wanted, listing: await listTable(options), at: now() };
  };
}

/** Removes the whole hairpin. A part that does not exist is no error. Throws HairpinError, RunError. */
export async function removeHairpin(options: HairpinOptions): Promise<void> {
  const { run, ip, nft } = options;
  const quietly = async (file: string, args: readonly string[]): Promise<void> => {
    const result = await run({ file, args });
    const unknown = /No such|Cannot find device|does not exist|not supported|DEV value is invalid/;
    if (result.exitCode !== 0 && !unknown.test(result.stderr)) {
      throw failed(file, result);
    }
  };
  if (existsSync(nft)) {
    await quietly(nft, ['delete', 'table', ...TABLE.split(' ')]);
  }
  await quietly(ip, RULE_REMOVAL.split(' '));
  await quietly(ip, ['-6', ...RULE_REMOVAL.split(' ')]);
  await quietly(ip, ['xfrm', 'policy', 'delete', ...BYPASS_6.split(' ')]);
  await quietly(ip, ['link', 'del', LINKS[0]]);
}

async function setUpLinks(options: HairpinOptions, { podCidrs }: Hairpin): Promise<void> {
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

/**
 * The settings of the links that have another value than they should; all settings if the links do not exist.
 */
function settingsLeft({ sysctlRoot }: HairpinOptions): { readonly path: string; readonly value: string }[] {
  return [...LINK_SETTINGS]
    .map(([name, value]) => ({ path: `${sysctlRoot}/${name}`, value }))
    .filter(({ path, value }) => !existsSync(path) || readFileSync(path, 'utf8').trim() !== value);
}

/** Runs every line of a batch. A line that fails because something exists already is no error. */
async function batch(
  options: HairpinOptions,
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

/** What nft lists of our table; empty if there is no such table. */
async function listTable({ run, nft }: HairpinOptions): Promise<string> {
  return (await run({ file: nft, args: ['list', 'table', ...TABLE.split(' ')] })).stdout;
}

async function must({ run }: HairpinOptions, command: Parameters<Run>[0]): Promise<void> {
  const result = await run(command);
  if (result.exitCode !== 0) {
    throw failed(command.file, result);
  }
}

function failed(file: string, { stderr, exitCode }: RunResult): HairpinError {
  return new HairpinError(`${file}: ${stderr.trim() || `exit status ${exitCode}`}`);
}
