import { nodeOf } from '../../lab/lab.ts';
import { mustIn, sleep } from '../../lab/process.ts';
import type { Passage } from '../ledger.ts';
import type { Row } from '../table.ts';
import { blockIke, unblockIke } from './ike-blocked.ts';

const IP = '/usr/sbin/ip';
/** DPD asks after 10 s of silence, and gives a peer up 11 s later. */
const LONGER_THAN_DPD_MS = 30_000;

const share = ({ lost, sent }: Passage): string => `${lost} of ${sent}`;

/** Row 6, what DPD sees (RFC 7296 2.4). */
export const dpdRows: readonly Row[] = [
  {
    id: '6f',
    title: 'IKE blocked for longer than DPD takes to give a peer up, ESP not',
    lossless: true,
    async event({ lab }) {
      const server = nodeOf(lab, 'controller-1');
      await blockIke(server);
      await sleep(LONGER_THAN_DPD_MS);
      await unblockIke(server);
      return 'ESP that comes is life enough for DPD';
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
