import { rmdirSync, rmSync } from 'node:fs';
import { createCharon } from '../ipsec/charon/client.ts';
import { isOurReqid } from '../ipsec/plan/ours.ts';
import { connectVici } from '../ipsec/vici/session.ts';
import type { Iproute2 } from '../ipsec/xfrm/iproute2.ts';
import { deleteState, listPolicies, listStates, ownPolicies } from '../ipsec/xfrm/kernel.ts';
import { applyOperations } from '../ipsec/xfrm/write/apply.ts';
import { HEARTBEAT_STALE_MS, silenceOf } from '../rundir/heartbeat.ts';
import { withLock } from '../rundir/lock/lock.ts';
import { acceptedPath, agentDir, attachmentsDir, cachePath, heartbeatPath } from '../rundir/paths.ts';
import { readHeartbeat } from '../rundir/read.ts';
import { unmarkUnguarded } from '../rundir/unguarded.ts';
import { uptime } from '../util/uptime.ts';
import { removeHairpin } from './host/hairpin.ts';
import { restoreThresholds } from './host/hash-thresholds.ts';
import { removeRoutes } from './host/routes.ts';
import { restoreSysctls } from './host/sysctl.ts';
import { LOCK } from './kernel/node-kernel.ts';
import { soleAgent } from './sole.ts';

export interface CleanupOptions {
  readonly runDir: string;
  readonly stateDir?: string | undefined;
  /** charon's VICI socket. */
  readonly vici: string;
  readonly iproute2: Iproute2;
  /** Absolute path of `nft`. */
  readonly nft: string;
  /** Normally `/proc/sys`. */
  readonly sysctlRoot: string;
}

export interface CleanedUp {
  readonly policies: number;
  readonly states: number;
  /** Empty, or why charon could not be told. */
  readonly charonError: string;
}

/** An agent is running: it would bring back at once what is removed. */
export class CleanupError extends Error {
  override readonly name = 'CleanupError';
}

/**
 * Removes all that is ours from charon, kernel and run directory, and nothing else: connections, policies,
 * SAs, files, kernel settings. Traffic is in the clear afterwards. charon goes first, so that it brings
 * nothing back. Throws CleanupError while an agent is alive.
 */
export async function cleanup(options: CleanupOptions): Promise<CleanedUp> {
  const { runDir, stateDir = runDir, iproute2 } = options;
  const running = (await soleAgent(runDir)) ?? recent(runDir);
  if (running !== undefined) {
    throw new CleanupError(`trapline-agent (${running}) is running, stop it first`);
  }
  const charonError = await clearCharon(options.vici);
  const removed = await withLock(runDir, LOCK, async () => {
    const policies = ownPolicies(await listPolicies(iproute2));
    await applyOperations(
      iproute2,
      policies.map((policy) => ({ op: 'delete', policy })),
    );
    const states = (await listStates(iproute2)).filter(({ reqid }) => isOurReqid(reqid));
    for (const state of states) {
      await deleteState(iproute2, state);
    }
    await removeHairpin({ ...iproute2, nft: options.nft, sysctlRoot: options.sysctlRoot });
    await removeRoutes(iproute2);
    await restoreThresholds(iproute2, runDir);
    restoreSysctls({ runDir, root: options.sysctlRoot });
    rmSync(attachmentsDir(runDir), { recursive: true, force: true });
    rmSync(agentDir(runDir), { recursive: true, force: true });
    unmarkUnguarded(runDir);
    rmSync(cachePath(runDir), { force: true });
    rmSync(acceptedPath(runDir), { force: true });
    rmSync(acceptedPath(stateDir), { force: true });
    rmSync(heartbeatPath(runDir), { force: true });
    return { policies: policies.length, states: states.length };
  });
  removeIfEmpty(runDir);
  removeIfEmpty(stateDir);
  return { ...removed, charonError };
}

/** The agent that has written a heartbeat a moment ago: one of a former version has nothing else. */
function recent(runDir: string): string | undefined {
  const read = readHeartbeat(runDir);
  const alive =
    read.kind === 'ok' && silenceOf(read.value, { now: Date.now(), uptime: uptime() }) < HEARTBEAT_STALE_MS;
  return alive ? `pid ${read.value.pid}, version ${read.value.version}` : undefined;
}

/** Unloads every connection of ours and ends its SAs. A charon that is away has nothing to be told. */
async function clearCharon(path: string): Promise<string> {
  try {
    const session = await connectVici({ path, timeoutMs: 5_000 });
    try {
      await createCharon(session).prune([]);
    } finally {
      await session.close();
    }
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Somebody else's file is in it.
  }
}
