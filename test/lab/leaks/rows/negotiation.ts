import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderConnection } from '../../../../src/ipsec/charon/render.ts';
import { CONNECTION_PREFIX, ikeId } from '../../../../src/ipsec/plan/connections.ts';
import { connectVici } from '../../../../src/ipsec/vici/session.ts';
import { nodeOf } from '../../nodes/lab.ts';
import { executable, startAgent, startCharon, swanctl } from '../../nodes/node.ts';
import { mustIn, sleep } from '../../nodes/process.ts';
import type { Row } from '../table.ts';
import { inStep, type World } from '../world.ts';
import { blockIke, unblockIke } from './ike-blocked.ts';
import { toldReason } from './told.ts';

const SERVER = 'controller-1';
const CLIENT = 'worker-0';
const HOLD_MS = 8_000;
/** After the cause is removed. */
const WITHIN_MS = 10_000;

async function terminate({ lab }: World): Promise<void> {
  await swanctl(
    nodeOf(lab, CLIENT),
    '--terminate',
    '--ike',
    `k8s-node-${SERVER}`,
    '--force',
    '--timeout',
    '1',
  );
  await swanctl(
    nodeOf(lab, SERVER),
    '--terminate',
    '--ike',
    `k8s-node-${CLIENT}`,
    '--force',
    '--timeout',
    '1',
  );
}

interface Breakage {
  readonly says: RegExp;
  readonly damage: (world: World) => Promise<void>;
  readonly mend: (world: World) => Promise<void>;
}

/** Broken until the reason is known; the recovery is counted from the mending. */
const broken =
  ({ says, damage, mend }: Breakage) =>
  async (world: World): Promise<string> => {
    await damage(world);
    await terminate(world);
    const said = await toldReason(world.lab, says);
    await sleep(HOLD_MS);
    await mend(world);
    return said;
  };

/** The server's agent with other options. */
async function restartAgent(
  { lab }: World,
  more: { pki?: string; flags?: readonly string[] },
): Promise<void> {
  const node = nodeOf(lab, SERVER);
  await node.agent?.stop('SIGTERM');
  await node.charon?.stop('SIGTERM');
  await startCharon(node);
  startAgent(node, { ...lab, agentFlags: [...lab.agentFlags, ...(more.flags ?? [])] }, more.pki);
  await inStep(node);
}

/** The server's charon has the connection, and no child for it; no agent is there to load one. */
async function takeChildren({ lab }: World): Promise<void> {
  const [node, peer] = [nodeOf(lab, SERVER), nodeOf(lab, CLIENT)];
  await node.agent?.stop('SIGKILL');
  const name = `${CONNECTION_PREFIX}${CLIENT}`;
  const config = {
    name,
    peer: CLIENT,
    localAddrs: [node.spec.address],
    remoteAddrs: [peer.spec.address],
    localId: ikeId(SERVER),
    remoteId: ikeId(CLIENT),
    children: [],
  };
  const certificate = readFileSync(join(node.folder, 'pki', 'node.crt'), 'utf8');
  const session = await connectVici({ path: join(node.run, 'charon.vici'), timeoutMs: 60_000 });
  try {
    await session.request('load-conn', {
      [name]: renderConnection(config, { profile: 'modern', certificate }),
    });
  } finally {
    await session.close();
  }
}

async function agentAgain({ lab }: World): Promise<void> {
  const node = nodeOf(lab, SERVER);
  startAgent(node, lab);
  await inStep(node);
}

const IKE_BLOCKED: Breakage = {
  says: /does not answer/,
  damage: ({ lab }) => blockIke(nodeOf(lab, SERVER)),
  mend: ({ lab }) => unblockIke(nodeOf(lab, SERVER)),
};

/** Row 10: negotiations that fail. */
export const negotiationRows: readonly Row[] = [
  {
    id: '10a',
    recoversWithin: WITHIN_MS,
    title: 'certificate of a CA that nobody trusts',
    event: broken({
      says: /does not accept our certificate|no CA that we trust/,
      async damage(world) {
        const { base } = world.lab;
        const agent = executable('trapline-agent');
        const [ca, pki] = [join(base, 'other-ca'), join(base, 'other-pki')];
        await mustIn([], [agent, 'pki', 'init', '--dir', ca]);
        await mustIn([], [agent, 'pki', 'issue', '--dir', ca, '--node', SERVER, '--out', pki]);
        await restartAgent(world, { pki });
      },
      mend: (world) => restartAgent(world, {}),
    }),
  },
  {
    id: '10b',
    recoversWithin: WITHIN_MS,
    title: 'no proposal in common',
    event: broken({
      says: /none of our proposals|none of the proposals/,
      damage: (world) => restartAgent(world, { flags: ['--proposals', 'starlingx'] }),
      mend: (world) => restartAgent(world, {}),
    }),
  },
  {
    id: '10c',
    recoversWithin: WITHIN_MS,
    title: 'UDP 500 and 4500 blocked',
    event: broken(IKE_BLOCKED),
  },
  {
    id: '10d',
    recoversWithin: WITHIN_MS,
    title: 'a charon that has no connection: new, no agent to tell it',
    event: broken({
      says: /has no connection for us/,
      async damage({ lab }) {
        const node = nodeOf(lab, SERVER);
        await node.agent?.stop('SIGKILL');
        await node.charon?.stop('SIGTERM');
        await startCharon(node);
      },
      mend: agentAgain,
    }),
  },
  {
    id: '10e',
    recoversWithin: WITHIN_MS,
    title: 'a peer without the child',
    event: broken({ says: /does not have this child/, damage: takeChildren, mend: agentAgain }),
  },
];

/** Row 10, with an API server: where the cluster is told. */
export const toldRows: readonly Row[] = [
  {
    id: '10f',
    recoversWithin: WITHIN_MS,
    title: 'UDP 500 and 4500 blocked: IPsecNode, a metric and an Event say why',
    event: broken(IKE_BLOCKED),
  },
];
