import { setTimeout } from 'node:timers/promises';
import type { Charon } from '../../ipsec/charon/charon.ts';
import { createCharon } from '../../ipsec/charon/client.ts';
import { isStanding } from '../../ipsec/charon/log/ignored.ts';
import { replaceOrphans } from '../../ipsec/charon/sas/replace-orphans.ts';
import type { ConnectionConfig } from '../../ipsec/plan/types.ts';
import { connectVici } from '../../ipsec/vici/session.ts';
import { deleteState, listStates } from '../../ipsec/xfrm/kernel.ts';
import type { ChildRef } from '../enabling/first-use.ts';
import { type CharonSessionOptions, CONNECT_MS } from './session-options.ts';

const INITIATE_MS = 15_000;
const AT_ONCE = 8;

/**
 * Replaces orphans in the background, in a session of its own: a peer that is away must not delay the next
 * step.
 */
export function adoptOrphans(
  options: CharonSessionOptions,
  connections: readonly ConnectionConfig[],
  signal: AbortSignal,
): void {
  const replace = async (): Promise<void> => {
    const session = await connectVici({ path: options.path, timeoutMs: CONNECT_MS, signal });
    try {
      const replaced = await replaceWith(createCharon(session), options, connections);
      if (replaced > 0) {
        options.onOrphans(replaced);
      }
    } finally {
      await session.close();
    }
  };
  replace().catch(options.onError);
}

async function replaceWith(
  charon: Charon,
  { iproute2, pace }: Pick<CharonSessionOptions, 'iproute2' | 'pace'>,
  connections: readonly ConnectionConfig[],
): Promise<number> {
  return await replaceOrphans(connections, {
    listKernel: () => listStates(iproute2),
    listSas: () => charon.listSas(),
    async announce(connection) {
      await charon.initiateIke(connection, INITIATE_MS);
      await setTimeout(pace.pinMs);
    },
    initiate: (connection, child) => charon.initiate(connection, child, INITIATE_MS),
    drain: () => setTimeout(pace.inFlightMs),
    deleteKernel: (sa) => deleteState(iproute2, sa),
  });
}

/**
 * Brings up those of the children that are not up, for at most `timeoutMs` each. It opens sessions of its
 * own: a command that waits for a peer delays all commands after it. Never rejects.
 */
export async function bringUp(
  { path, timeoutMs }: Pick<CharonSessionOptions, 'path'> & { readonly timeoutMs: number },
  children: readonly ChildRef[],
  signal: AbortSignal,
): Promise<void> {
  const running = new Set<string>();
  const queue = [...children];
  const worker = async (): Promise<void> => {
    const session = await connectVici({ path, timeoutMs, signal });
    try {
      const charon = createCharon(session);
      for (const sa of await charon.listSas()) {
        for (const { name } of sa.children.filter(isStanding)) {
          running.add(`${sa.connection}/${name}`);
        }
      }
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        if (!running.has(`${next.connection}/${next.child}`)) {
          await charon.initiate(next.connection, next.child, timeoutMs).catch(() => undefined);
        }
      }
    } finally {
      await session.close();
    }
  };
  await Promise.allSettled(Array.from({ length: Math.min(AT_ONCE, queue.length) }, worker));
}
