import { STRETCH } from '../../nodes/probe.ts';
import { mustIn, sleep, until } from '../../nodes/process.ts';
import type { Passage } from '../ledger.ts';
import type { Row } from '../table.ts';
import { ledgerOf, type World } from '../world.ts';
import { LONGER_THAN_DPD_MS } from './dpd.ts';

const IP = '/usr/sbin/ip';
const SHORTER_THAN_DPD_MS = 30_000;

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

/** Row 15: the network between the nodes fails. */
export const outageRows: readonly Row[] = [
  {
    id: '15a',
    title: "the link of the server's node down for 30 s",
    loses: 'what is sent while the link is down',
    event: linkDown(SHORTER_THAN_DPD_MS),
    remark: beforeAndAfter,
    losslessAfter: true,
  },
  {
    id: '15b',
    title: "the link of the server's node down until DPD gives the peer up",
    loses: 'what is sent while the link is down, beyond the 100 packets that the kernel keeps',
    event: linkDown(LONGER_THAN_DPD_MS),
    remark: beforeAndAfter,
  },
];
