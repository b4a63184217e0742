import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { rotationPath } from '../rundir/paths.ts';
import { readHeartbeat } from '../rundir/read.ts';

export interface RotateOptions {
  readonly runDir: string;
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

const LOOK_MS = 200;

/**
 * Asks the agent for another key and certificate, and waits until it has them. Resolves to a message and to
 * whether it worked.
 */
export async function rotate({
  runDir,
  timeoutMs,
  now,
  sleep,
}: RotateOptions): Promise<{ text: string; done: boolean }> {
  const heartbeat = readHeartbeat(runDir);
  if (heartbeat.kind !== 'ok') {
    return { text: `no agent here: ${heartbeat.message}\n`, done: false };
  }
  const path = rotationPath(runDir);
  writeFileSync(path, '', { mode: 0o600 });
  for (const until = now() + timeoutMs; now() < until; ) {
    if (!existsSync(path)) {
      return { text: 'renewed: new IKE_SAs come up before the old ones end\n', done: true };
    }
    await sleep(LOOK_MS);
  }
  rmSync(path, { force: true });
  const text = `not renewed within ${timeoutMs / 1_000} s: the agent's log says why; an agent with --certificates files renews nothing\n`;
  return { text, done: false };
}
