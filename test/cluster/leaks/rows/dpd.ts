import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeOf } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { STRETCH } from '../../lab/probe.ts';
import { mustIn, sleep, until } from '../../lab/process.ts';
import type { Passage } from '../ledger.ts';
import type { Row } from '../table.ts';
import { ledgerOf, type World } from '../world.ts';
import { blockIke, unblockIke } from './ike-blocked.ts';

const IP = '/usr/sbin/ip';
/** DPD asks after 10 s without a message of IKE; a peer of which no ESP comes either is given up a minute later. */
const LONGER_THAN_DPD_MS = 85_000;
const SHORTER_THAN_DPD_MS = 30_000;

/** Requests that their charons had to send again: the one that is asked in time does not ask itself. */
function repeated(nodes: readonly LabNode[]): number {
  const logs = nodes.map(({ folder }) => readFileSync(join(folder, 'charon.log'), 'utf8'));
  return logs.join('').split('> retransmit ').length - 1;
}

const share = ({ lost, sent }: Passage): string => `${lost} of ${sent}`;

const beforeAndAfter = (during: Passage, after: Passage, open: Passage): string =>
  `${share(during)} lost while the link was down (${share(open)} of the stream that no policy names), ${share(after)} from then on`;

/** Until the link carries what nobody protects again: the kernel asks for a neighbour that it has lost once a second. */
const linkDown =
  (ms: number) =>
  async (world: World): Promise<undefined> => {
    const { namespace } = world.lab.wire;
    const port = ['link', 'set', 'p-controller-1'];
    await mustIn([IP, '-n', namespace], [...port, 'down']);
    await sleep(ms);
    await mustIn([IP, '-n', namespace], [...port, 'up']);
    const up = Date.now();
    await until('the link carries', 10_000 * STRETCH, async () => {
      await sleep(20);
      return ledgerOf(world).answeredSince('control', up);
    });
  };

/** Row 6, what DPD sees (RFC 7296 2.4). */
export const dpdRows: readonly Row[] = [
  {
    id: '6f',
    title: 'DPD answered late: IKE blocked for 5 s, four times',
    lossless: true,
    async event({ lab }) {
      const [server, client] = [nodeOf(lab, 'controller-1'), nodeOf(lab, 'worker-0')];
      const before = repeated([server, client]);
      for (let time = 0; time < 4; time += 1) {
        await blockIke(server);
        await sleep(5_000);
        await unblockIke(server);
        await sleep(3_000);
      }
      const requests = repeated([server, client]) - before;
      if (requests === 0) {
        throw new Error('no request went unanswered');
      }
      return `${requests} requests repeated`;
    },
  },
  {
    id: '6n',
    title: 'DPD not answered for longer than it waits: IKE blocked, ESP not',
    lossless: true,
    async event({ lab }) {
      const server = nodeOf(lab, 'controller-1');
      await blockIke(server);
      await sleep(LONGER_THAN_DPD_MS);
      await unblockIke(server);
      return undefined;
    },
  },
  {
    id: '6o',
    title: "the link of the server's node down for 30 s",
    loses: 'what is sent while the link is down',
    event: linkDown(SHORTER_THAN_DPD_MS),
    remark: beforeAndAfter,
    losslessAfter: true,
  },
  {
    id: '6g',
    title: "the server's node unreachable until DPD gives it up, then back",
    loses: 'what is sent to a node that cannot be reached, beyond the 100 packets that the kernel keeps',
    event: linkDown(LONGER_THAN_DPD_MS),
    remark: beforeAndAfter,
  },
];
