import type { Iproute2 } from '../ipsec/xfrm/iproute2.ts';
import { listPolicies } from '../ipsec/xfrm/kernel.ts';
import type { KernelPolicy } from '../ipsec/xfrm/kernel-policy.ts';
import type { Attachments } from '../rundir/attachments.ts';
import { readAttachments } from '../rundir/attachments.ts';
import { isUnguarded, notEnforced, whyUnguarded } from '../rundir/gate.ts';
import type { Heartbeat } from '../rundir/heartbeat.ts';
import { type ReadResult, readHeartbeat, readNodeCache } from '../rundir/read.ts';
import type { NodeCache } from '../rundir/schema.ts';
import { messageOf } from '../util/message-of.ts';

/** The kernel's policy table, or why it could not be read (most often: not root). */
export type KernelRead =
  | { readonly kind: 'ok'; readonly policies: readonly KernelPolicy[] }
  | { readonly kind: 'failed'; readonly message: string };

/** All that traplinectl knows of a node, read at one time. */
export interface NodeView {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Milliseconds since the machine booted (CLOCK_MONOTONIC). */
  readonly uptime: number;
  readonly cache: ReadResult<NodeCache>;
  /** Why the plugin attaches no pod, whatever the cache says; empty if it does. */
  readonly closed: string;
  readonly heartbeat: ReadResult<Heartbeat>;
  readonly attachments: Attachments;
  readonly kernel: KernelRead;
}

export interface ViewOptions {
  readonly runDir: string;
  readonly iproute2: Iproute2;
  readonly now: () => number;
  readonly uptime: () => number;
}

/** Reads the node without changing anything and without the lock. What cannot be read is part of the view. */
export async function readView({ runDir, iproute2, now, uptime }: ViewOptions): Promise<NodeView> {
  const cache = readNodeCache(runDir);
  return {
    cache,
    closed: whyClosed(runDir, cache),
    heartbeat: readHeartbeat(runDir),
    attachments: recordsIn(runDir),
    kernel: await readKernel(iproute2),
    now: now(),
    uptime: uptime(),
  };
}

function whyClosed(runDir: string, cache: ReadResult<NodeCache>): string {
  const why = cache.kind === 'ok' ? notEnforced(runDir, cache.value) : '';
  return why === '' && isUnguarded(runDir) ? whyUnguarded(runDir) : why;
}

function recordsIn(runDir: string): Attachments {
  try {
    return readAttachments(runDir);
  } catch (error) {
    return { records: [], problems: [messageOf(error)] };
  }
}

async function readKernel(iproute2: Iproute2): Promise<KernelRead> {
  try {
    return { kind: 'ok', policies: await listPolicies(iproute2) };
  } catch (error) {
    return { kind: 'failed', message: messageOf(error) };
  }
}
