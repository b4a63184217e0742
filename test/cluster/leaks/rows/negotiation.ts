import { join } from 'node:path';
import { readHeartbeat } from '../../../../src/cache/read.ts';
import { type Lab, nodeOf } from '../../lab/lab.ts';
import { executable, type LabNode, startAgent, startCharon, swanctl } from '../../lab/node.ts';
import { STRETCH } from '../../lab/probe.ts';
import { mustIn, sleep, until } from '../../lab/process.ts';
import type { Row } from '../table.ts';
import { inStep, type World } from '../world.ts';
import { blockIke, unblockIke } from './ike-blocked.ts';

const SERVER = 'controller-1';
const CLIENT = 'worker-0';
const HOLD_MS = 8_000;
/** After the cause is removed. */
const WITHIN_MS = 10_000;

function failuresOf(node: LabNode): readonly string[] {
  const heartbeat = readHeartbeat(join(node.run, 'trapline'));
  return heartbeat.kind === 'ok' ? (heartbeat.value.failures ?? []) : [];
}

/** What one of the two nodes says of the other. */
async function reason({ nodes }: Lab, expected: RegExp): Promise<string> {
  let said: string[] = [];
  await until(`a reason like ${expected}`, 30_000 * STRETCH, async () => {
    said = nodes.flatMap((node) => failuresOf(node).map((text) => `${node.spec.name} of ${text}`));
    return said.some((text) => expected.test(text));
  }).catch((error: Error) => {
    throw new Error(`${error.message}, but: ${said.join(' | ')}`);
  });
  return said.find((text) => expected.test(text)) ?? '';
}

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
    const said = await reason(world.lab, says);
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
    event: broken({
      says: /does not answer/,
      damage: ({ lab }) => blockIke(nodeOf(lab, SERVER)),
      mend: ({ lab }) => unblockIke(nodeOf(lab, SERVER)),
    }),
  },
  {
    id: '10d',
    recoversWithin: WITHIN_MS,
    title: 'a peer without the child: charon new, no agent to tell it',
    async event(world) {
      const node = nodeOf(world.lab, SERVER);
      await node.agent?.stop('SIGKILL');
      await node.charon?.stop('SIGTERM');
      await startCharon(node);
      await sleep(HOLD_MS);
      startAgent(node, world.lab);
      await inStep(node);
      return undefined;
    },
  },
];
