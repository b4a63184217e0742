import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeOf } from '../../nodes/lab.ts';
import type { LabNode } from '../../nodes/node.ts';
import { sleep } from '../../nodes/process.ts';
import type { Row } from '../table.ts';
import { blockIke, unblockIke } from './ike-blocked.ts';

/** DPD asks after 10 s without a message of IKE; a peer of which no ESP comes either is given up a minute later. */
export const LONGER_THAN_DPD_MS = 85_000;

/** Requests that their charons had to send again: the one that is asked in time does not ask itself. */
function repeated(nodes: readonly LabNode[]): number {
  const logs = nodes.map(({ folder }) => readFileSync(join(folder, 'charon.log'), 'utf8'));
  return logs.join('').split('> retransmit ').length - 1;
}

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
    id: '6p',
    title: 'DPD not answered for longer than it waits: charon of the server stands still, ESP does not',
    lossless: true,
    async event({ lab }) {
      const { charon } = nodeOf(lab, 'controller-1');
      if (charon?.running() !== true) {
        throw new Error('no charon runs there');
      }
      process.kill(charon.pid, 'SIGSTOP');
      await sleep(LONGER_THAN_DPD_MS);
      process.kill(charon.pid, 'SIGCONT');
      await sleep(5_000);
      return undefined;
    },
  },
];
