import { join } from 'node:path';
import type { Charon } from '../../../../src/ipsec/charon/charon.ts';
import { createCharon } from '../../../../src/ipsec/charon/client.ts';
import type { IkeSa } from '../../../../src/ipsec/charon/replies.ts';
import { connectVici } from '../../../../src/ipsec/vici/session.ts';
import { nodeOf } from '../../nodes/lab.ts';
import { swanctl } from '../../nodes/node.ts';
import { recovered, type World } from '../world.ts';

/** IKE_SAs between the client's node and the server's, as the client's charon has them. */

export const CLIENT = 'worker-0';
const TO_SERVER = 'k8s-node-controller-1';
const ATTEMPTS = 5;

export async function sasWithServer({ lab }: World): Promise<IkeSa[]> {
  const session = await connectVici({
    path: join(nodeOf(lab, CLIENT).run, 'charon.vici'),
    timeoutMs: 60_000,
  });
  const charon: Charon = createCharon(session);
  try {
    return (await charon.listSas()).filter(({ connection }) => connection === TO_SERVER);
  } finally {
    await session.close();
  }
}

export const ikeIds = (sas: readonly IkeSa[]): number[] => sas.map(({ uniqueId }) => uniqueId);

/** Leaves one IKE_SA with all CHILD_SAs: nodes that begin at the same moment have two, and the one can do what the other refuses. */
export async function haveOneIkeSa(world: World): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const [, ...others] = ikeIds(await sasWithServer(world));
    if (others.length === 0) {
      return;
    }
    for (const id of others) {
      await swanctl(nodeOf(world.lab, CLIENT), '--terminate', '--ike-id', String(id));
    }
    await recovered(world);
  }
  throw new Error(`more than one IKE_SA after ${ATTEMPTS} attempts`);
}
