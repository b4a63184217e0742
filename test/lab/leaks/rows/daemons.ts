import { join } from 'node:path';
import { readHeartbeat } from '../../../../src/rundir/read.ts';
import { VERSION } from '../../../../src/version.ts';
import { nodeOf } from '../../nodes/lab.ts';
import { type LabNode, startAgent, startCharon, swanctl } from '../../nodes/node.ts';
import { nodesManifest } from '../../nodes/objects.ts';
import { STRETCH, sasOf } from '../../nodes/probe.ts';
import { sleep, until } from '../../nodes/process.ts';
import { NODES } from '../../nodes/topology.ts';
import { makeMutant, useMutant } from '../mutant.ts';
import { RESPONDER_FIRST, type Row } from '../table.ts';
import { inStep, rebootNode, type World } from '../world.ts';
import { limit, outbound } from './kernel-sas.ts';
import { underLoad } from './load.ts';

const SERVER = 'controller-1';
const CLIENT = 'worker-0';

const NEXT_VERSION = {
  name: 'next-version',
  edits: [{ file: 'build/src/version.js', from: `'${VERSION}'`, to: `'next'` }],
};

const agentEnds =
  (signal: 'SIGTERM' | 'SIGKILL') =>
  async ({ lab }: World): Promise<undefined> => {
    const node = nodeOf(lab, SERVER);
    await node.agent?.stop(signal);
    await sleep(2_000);
    startAgent(node, lab);
    await inStep(node);
  };

/** What a killed charon has left in the kernel of its node. Resolves to what waits until the agent has replaced it. */
async function leftBy(node: LabNode): Promise<() => Promise<string>> {
  const left = new Set((await sasOf(node)).flatMap(({ spi }) => (spi === 0 ? [] : [spi])));
  return async () => {
    await until('the SAs of before replaced', 60_000 * STRETCH, async () => {
      await sleep(1_000);
      return (await sasOf(node)).every(({ spi }) => !left.has(spi));
    });
    return `${left.size} SAs of before replaced`;
  };
}

const charonStops = async ({ lab }: World): Promise<undefined> => {
  const node = nodeOf(lab, SERVER);
  await node.charon?.stop('SIGTERM');
  await sleep(1_000);
  await startCharon(node);
};

/** Row 2d, and what is like it. */
export const charonKilled =
  (name: string) =>
  async ({ lab }: World): Promise<string> => {
    const node = nodeOf(lab, name);
    const replaced = await leftBy(node);
    await node.charon?.stop('SIGKILL');
    await sleep(1_000);
    await startCharon(node);
    return await replaced();
  };

/** Row 2: whatever dies or starts anew. */
export const daemonRows: readonly Row[] = [
  {
    id: '2a',
    title: 'agent of the server stopped, started again',
    lossless: true,
    event: agentEnds('SIGTERM'),
  },
  {
    id: '2b',
    title: 'agent of the server killed, started again',
    lossless: true,
    event: agentEnds('SIGKILL'),
  },
  { id: '2c', title: 'charon of the server stopped, started again', event: charonStops },
  {
    id: '2d',
    title: 'charon of the server killed, started again',
    lossless: true,
    event: charonKilled(SERVER),
  },
  {
    id: '2e',
    title: 'charon of the client killed, started again',
    lossless: true,
    event: charonKilled(CLIENT),
  },
  {
    id: '2f',
    title: 'agent and charon killed, charon started first',
    lossless: true,
    async event({ lab }) {
      const node = nodeOf(lab, SERVER);
      const replaced = await leftBy(node);
      await node.agent?.stop('SIGKILL');
      await node.charon?.stop('SIGKILL');
      await sleep(1_000);
      await startCharon(node);
      await sleep(2_000);
      startAgent(node, lab);
      await inStep(node);
      return await replaced();
    },
  },
  {
    id: '2g',
    title: 'node rebooted: namespaces torn down and rebuilt, /run empty; its peers hear of the new bootID',
    async event(world) {
      const { lab } = world;
      const before = NODES.map((node) => ({ ...node, bootId: `first-${node.name}` }));
      await lab.cluster.put('nodes.yaml', nodesManifest(before));
      await sleep(1_000);
      const peer = nodeOf(lab, CLIENT);
      const old = new Set((await sasOf(peer)).map(({ spi }) => spi));
      const booting = rebootNode(world, SERVER);
      booting.catch(() => undefined);
      await sleep(1_000);
      const booted = before.map((node) => (node.name === SERVER ? { ...node, bootId: 'second' } : node));
      await lab.cluster.put('nodes.yaml', nodesManifest(booted));
      // Dead peer detection takes 10 s to ask and 11 s to give up.
      const going = until('the IKE_SAs of before are gone', 9_000, async () => {
        const { stdout } = await swanctl(peer, '--list-sas', '--ike', `k8s-node-${SERVER}`);
        const spis = [...stdout.matchAll(/^ +(?:in|out) +([0-9a-f]+),/gm)].map(([, spi]) =>
          Number.parseInt(spi ?? '', 16),
        );
        return spis.every((spi) => !old.has(spi));
      });
      await Promise.allSettled([going, booting]);
      const gone = await going;
      await booting;
      return `SAs of before gone ${(gone / 1_000).toFixed(1)} s after the news`;
    },
  },
  {
    id: '2h',
    title: 'agent of the server upgraded: stopped, and another version started',
    lossless: true,
    async event({ lab }) {
      const node = nodeOf(lab, SERVER);
      const next = makeMutant(NEXT_VERSION, lab.base);
      await node.agent?.stop('SIGTERM');
      useMutant(next);
      startAgent(node, lab);
      useMutant(undefined);
      await inStep(node);
      await sleep(4_000);
      const heartbeat = readHeartbeat(join(node.run, 'trapline'));
      const version = heartbeat.kind === 'ok' ? heartbeat.value.version : heartbeat.kind;
      if (version !== 'next') {
        throw new Error(`version ${version} runs`);
      }
      return undefined;
    },
  },
  {
    id: '2i',
    title: 'agent of the client away until SAs come to the limit at which charon rekeys them itself',
    loses: RESPONDER_FIRST,
    async event(world) {
      const node = nodeOf(world.lab, CLIENT);
      await node.agent?.stop('SIGKILL');
      const sas = await outbound(world);
      for (const sa of sas) {
        await limit(world, sa, 'limit', 'packet-soft', '1', 'limit', 'packet-hard', '1000000');
      }
      await sleep(6_000);
      const left = (await outbound(world)).filter(({ spi }) => sas.some((sa) => sa.spi === spi));
      startAgent(node, world.lab);
      await inStep(node);
      if (sas.length === 0 || left.length > 0) {
        throw new Error(`${left.length} of ${sas.length} SAs were not rekeyed`);
      }
      return `${sas.length} SAs rekeyed`;
    },
  },
  {
    id: '2j',
    title: 'charon of the server killed, started again, under load',
    lossless: true,
    event: (world) => underLoad(world, () => charonKilled(SERVER)(world)),
  },
];
