import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../unit/root.ts';

/** The root with Debian's strongSwan 6.0 that scripts/charon6.sh makes, or why there is none. */
export function charon6Root(): { readonly root: string } | { readonly why: string } {
  const { status, stdout, stderr } = spawnSync('/bin/sh', [join(ROOT, 'scripts/charon6.sh')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  return status === 0 ? { root: stdout.trim() } : { why: stderr.trim().split('\n').at(-1) ?? '' };
}

/** For a shell in a mount namespace of its own: `$1` becomes charon's root, with the /run, /dev and /proc of the node. */
export const ENTER_ROOT = 'for d in run dev proc; do mount --rbind "/$d" "$1/$d"; done';
