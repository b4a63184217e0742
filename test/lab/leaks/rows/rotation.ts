import { join } from 'node:path';
import type { IkeSa } from '../../../../src/ipsec/charon/replies.ts';
import { nodeOf } from '../../nodes/lab.ts';
import { executable } from '../../nodes/node.ts';
import { STRETCH } from '../../nodes/probe.ts';
import { mustIn, sleep, until } from '../../nodes/process.ts';
import { NODES } from '../../nodes/topology.ts';
import type { Row } from '../table.ts';
import type { World } from '../world.ts';
import { CLIENT, ikeIds, sasWithServer } from './ike-sas.ts';
import { underLoad } from './load.ts';

const CA_SECRET = ['secret', 'trapline-ca', '-n', 'trapline-system'];

/** Waits until none of the SAs of before is left, and there are others. Resolves to their number. */
async function replaced(
  world: World,
  idsOf: (sas: readonly IkeSa[]) => number[],
  before: readonly number[],
): Promise<number> {
  let ids: number[] = [];
  await until('SAs replaced', 60_000 * STRETCH, async () => {
    await sleep(1_000);
    ids = idsOf(await sasWithServer(world));
    return ids.length > 0 && ids.every((id) => !before.includes(id));
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${before.join()} are ${ids.join()}`);
  });
  return ids.length;
}

const childSpis = (sas: readonly IkeSa[]): number[] =>
  sas.flatMap(({ children }) => children.flatMap(({ spiOut }) => spiOut ?? []));

const replacedChildren = async (world: World): Promise<string> => {
  const count = await replaced(world, childSpis, childSpis(await sasWithServer(world)));
  return `${count} CHILD_SAs`;
};

/** With agents that replace a CHILD_SA at the age of some seconds. */
export const ageRows: readonly Row[] = [
  {
    id: '6a',
    title: 'CHILD_SAs replaced at their age, by the agents',
    lossless: true,
    event: replacedChildren,
  },
];

/** With agents that replace a CHILD_SA after some hundred packets. */
export const packetRows: readonly Row[] = [
  {
    id: '6i',
    title: 'CHILD_SAs replaced at their limit of packets, by the agents',
    lossless: true,
    event: replacedChildren,
  },
];

export const reauthenticationRow: Row = {
  id: '6c',
  title: "reauthentication: the client's node gets another certificate",
  lossless: true,
  async event(world) {
    const { lab } = world;
    const before = ikeIds(await sasWithServer(world));
    const pki = join(nodeOf(lab, CLIENT).folder, 'pki');
    const issue = ['pki', 'issue', '--dir', join(lab.base, 'ca'), '--node', CLIENT, '--out', pki];
    await mustIn([], [executable('trapline-agent'), ...issue]);
    await replaced(world, ikeIds, before);
    return undefined;
  },
};

/** The certificates of nodes, and the CA: with an API server and the controller. */
export const keyRows: readonly Row[] = [
  {
    id: '13a',
    title: 'certificates of both nodes renewed (traplinectl rotate), under load',
    lossless: true,
    event: (world) =>
      underLoad(world, async () => {
        const before = ikeIds(await sasWithServer(world));
        for (const node of [CLIENT, 'controller-1']) {
          const { enter } = nodeOf(world.lab, node);
          await mustIn(enter, [executable('traplinectl'), 'rotate', '--run-dir', '/run/trapline']);
        }
        return `${await replaced(world, ikeIds, before)} IKE_SAs`;
      }),
  },
  {
    id: '13b',
    title: 'the CA rolled over, under load',
    lossless: true,
    event: (world) =>
      underLoad(world, async () => {
        const before = ikeIds(await sasWithServer(world));
        const roots = async (): Promise<string[]> =>
          (
            await world.lab.cluster.get(
              ...['ipsecnodes', '--no-headers', '-o'],
              'custom-columns=R:.status.certificate.root,T:.status.certificate.trusted',
            )
          )
            .trim()
            .split('\n');
        const [old = ''] = (await roots())[0]?.split(/ +/) ?? [];
        await world.lab.cluster.annotate(...CA_SECRET, 'trapline.io/rotate=now');
        let lines: string[] = [];
        await until('every node has followed', 60_000 * STRETCH, async () => {
          await sleep(2_000);
          lines = await roots();
          return lines.length === NODES.length && lines.every((line) => line !== '' && !line.includes(old));
        }).catch((error: Error) => {
          throw new Error(`${error.message}: ${lines.join('; ')}`);
        });
        await replaced(world, ikeIds, before);
        return `${lines.length} nodes have followed`;
      }),
  },
];
