import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as z from 'zod';
import { writeFileAtomic } from '../../rundir/write.ts';

/**
 * Kernel settings of the node's network namespace. With `xfrm_larval_drop` 0, the packet that brings a tunnel
 * up waits for the tunnel and is then sent through it; with the kernel's default of 1 it is lost
 * (docs/design.md, First packets).
 */
const SETTINGS: ReadonlyMap<string, string> = new Map([['net/core/xfrm_larval_drop', '0']]);

/** Settings that a node needs if it routes between its pods and those of other nodes. */
const FORWARDING: ReadonlyMap<string, string> = new Map([
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv6/conf/all/forwarding', '1'],
]);
const ALL: ReadonlyMap<string, string> = new Map([...SETTINGS, ...FORWARDING]);

const savedSchema = z.record(z.string(), z.string());
const savedPath = (runDir: string): string => `${runDir}/sysctl.json`;

export interface SysctlOptions {
  readonly runDir: string;
  /** Folder of the kernel settings, normally `/proc/sys`. */
  readonly root: string;
  /** Set forwarding as well. */
  readonly forwarding?: boolean;
}

/**
 * Sets what differs and remembers the values found, for `restoreSysctls`. Throws if a value cannot be read or
 * set.
 */
export function applySysctls({ runDir, root, forwarding = false }: SysctlOptions): void {
  for (const [name, value] of forwarding ? ALL : SETTINGS) {
    if (FORWARDING.has(name) && !existsSync(`${root}/${name}`)) {
      // A kernel without IPv6.
      continue;
    }
    const saved = readSaved(runDir);
    const found = readFileSync(`${root}/${name}`, 'utf8').trim();
    if (found !== value) {
      writeFileAtomic(savedPath(runDir), `${JSON.stringify({ ...saved, [name]: saved[name] ?? found })}\n`);
      writeFileSync(`${root}/${name}`, value);
    }
  }
}

/** Puts back what `applySysctls` changed, unless somebody else has set another value since. */
export function restoreSysctls({ runDir, root }: SysctlOptions): void {
  for (const [name, value] of Object.entries(readSaved(runDir))) {
    const path = `${root}/${name}`;
    if (readFileSync(path, 'utf8').trim() === ALL.get(name)) {
      writeFileSync(path, value);
    }
  }
  rmSync(savedPath(runDir), { force: true });
}

function readSaved(runDir: string): Record<string, string> {
  const path = savedPath(runDir);
  return existsSync(path) ? savedSchema.parse(JSON.parse(readFileSync(path, 'utf8'))) : {};
}
