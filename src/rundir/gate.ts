import { existsSync, readFileSync } from 'node:fs';
import { cachePath, unguardedPath } from './paths.ts';
import type { NodeCache } from './schema.ts';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** Another text after each boot of the machine, the same in all its containers. Throws if there is none. */
export function bootIdOf(): string {
  return readFileSync(BOOT_ID, 'utf8').trim();
}

/**
 * Empty if the kernel was brought in step with a cache of this node since the machine booted, otherwise why
 * that is not known. Until then no policy stands, not even those of whole pod CIDRs: what a pod sends would
 * leave in the clear.
 */
export function notEnforced(runDir: string, { bootId }: Pick<NodeCache, 'bootId'>): string {
  return bootId === bootIdOf()
    ? ''
    : `nothing has been enforced on this node since it booted (${cachePath(runDir)} is of ${bootId === undefined ? 'no' : 'another'} boot)`;
}

/** Whether the agent says that the node's nft table is missing. */
export function isUnguarded(runDir: string): boolean {
  return existsSync(unguardedPath(runDir));
}

/** Why the node's nft table is missing, as the agent says it. */
export function whyUnguarded(runDir: string): string {
  const path = unguardedPath(runDir);
  try {
    return `the nft table of this node is missing (${path}): ${readFileSync(path, 'utf8').trim()}`;
  } catch {
    return `the nft table of this node was missing a moment ago (${path})`;
  }
}
