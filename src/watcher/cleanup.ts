import { rmdirSync, rmSync } from 'node:fs';
import { attachmentsDir, cachePath, heartbeatPath } from '../cache/paths.ts';
import type { XfrmPolicy } from '../ipsec/types.ts';
import { restoreSysctls } from './sysctl.ts';

/** An SA in the kernel, as `ip xfrm state delete` names it. */
export interface OwnState {
  readonly src: string;
  readonly dst: string;
  readonly spi: number;
}

export interface CleanupEffects {
  /** Unloads every connection of ours and ends its SAs; resolves to why not if charon does not answer. */
  clearCharon(): Promise<string>;
  /** Policies and SAs that are ours (reqid range and priority band), and nobody else's. */
  listOwn(): Promise<{ policies: readonly XfrmPolicy[]; states: readonly OwnState[] }>;
  deletePolicies(policies: readonly XfrmPolicy[]): Promise<void>;
  deleteState(state: OwnState): Promise<void>;
}

export interface CleanedUp {
  readonly policies: number;
  readonly states: number;
  /** Empty, or why charon could not be told. */
  readonly charonError: string;
}

/**
 * Removes all that is ours from the kernel and from charon: policies, SAs, connections. Traffic is in the clear afterwards.
 * charon goes first, so that it does not bring back what is removed from the kernel.
 */
export async function cleanupNode(effects: CleanupEffects): Promise<CleanedUp> {
  const charonError = await effects.clearCharon();
  const { policies, states } = await effects.listOwn();
  await effects.deletePolicies(policies);
  for (const state of states) {
    await effects.deleteState(state);
  }
  return { policies: policies.length, states: states.length, charonError };
}

/** Removes our files and puts the kernel settings back. The run directory itself goes if nothing else is in it. */
export function cleanupFiles(runDir: string, sysctlRoot: string): void {
  restoreSysctls({ runDir, root: sysctlRoot });
  rmSync(attachmentsDir(runDir), { recursive: true, force: true });
  for (const path of [cachePath(runDir), heartbeatPath(runDir)]) {
    rmSync(path, { force: true });
  }
  try {
    rmdirSync(runDir);
  } catch {
    // Somebody else's file is in it, or it is gone already.
  }
}
