import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeOf } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import { mustIn, sleep } from '../../lab/process.ts';
import type { Passage } from '../ledger.ts';
import type { Row } from '../table.ts';
import { blockIke, unblockIke } from './ike-blocked.ts';

const IP = '/usr/sbin/ip';
/** DPD asks after 10 s without a message of IKE, and gives a peer up 11 s later: of ESP charon knows nothing, the policies are not its own. */
const LONGER_THAN_DPD_MS = 30_000;

/** Requests that charon had to send again. */
function repeated({ folder }: LabNode): number {
  return readFileSync(join(folder, 'charon.log'), 'utf8').split('> retransmit ').length - 1;
}

const share = ({ lost, sent }: Passage): string => `${lost} of ${sent}`;

/** Row 6, what DPD sees (RFC 7296 2.4). */
export const dpdRows: readonly Row[] = [
  {
    id: '6f',
    title: 'DPD answered late: IKE blocked for 5 s, four times',
    lossless: true,
    async event({ lab }) {
      const [server, client] = [nodeOf(lab, 'controller-1'), nodeOf(lab, 'worker-0')];
      const before = repeated(client);
      for (let time = 0; time < 4; time += 1) {
        await blockIke(server);
        await sleep(5_000);
        await unblockIke(server);
        await sleep(3_000);
      }
      const requests = repeated(client) - before;
      if (requests === 0) {
        throw new Error('no request went unanswered');
      }
      return `${requests} requests repeated`;
    },
  },
  {
    id: '6n',
    title: 'IKE blocked for longer than DPD waits, ESP not',
    loses: 'DPD gives the peer up: charon knows nothing of ESP',
    async event({ lab }) {
      const server = nodeOf(lab, 'controller-1');
      await blockIke(server);
      await sleep(LONGER_THAN_DPD_MS);
      await unblockIke(server);
      return undefined;
    },
  },
  {
    id: '6g',
    title: "the server's node unreachable until DPD gives it up, then back",
    loses: 'what is sent to a node that cannot be reached, beyond the 100 packets that the kernel keeps',
    async event({ lab }) {
      const port = ['link', 'set', 'p-controller-1'];
      await mustIn([IP, '-n', lab.wire.namespace], [...port, 'down']);
      await sleep(LONGER_THAN_DPD_MS);
      await mustIn([IP, '-n', lab.wire.namespace], [...port, 'up']);
      return undefined;
    },
    remark: (during, after, open) =>
      `${share(during)} lost while the link was down (${share(open)} of the stream that no policy names), ${share(after)} from then on`,
  },
];
