import { daemonRows } from './rows/daemons.ts';
import { dpdRows } from './rows/dpd.ts';
import { firstPacketRows } from './rows/first-packets.ts';
import { handRows } from './rows/hand.ts';
import { icmpRows } from './rows/icmp.ts';
import { mtuRows } from './rows/mtu.ts';
import { negotiationRows, toldRows } from './rows/negotiation.ts';
import { nodeRows } from './rows/nodes.ts';
import { outageRows } from './rows/outages.ts';
import { overlayRows } from './rows/overlay.ts';
import { podRows } from './rows/pods.ts';
import { policyRows, serviceRows } from './rows/policies.ts';
import { reuseRows } from './rows/reuse.ts';
import { ageRows, keyRows, packetRows, reauthenticationRow } from './rows/rotation.ts';
import { saRows } from './rows/sas.ts';
import { sixRows, sixStrangerRows } from './rows/six.ts';
import { strangerRows } from './rows/strangers.ts';
import type { Row } from './table.ts';
import type { WorldOptions } from './world.ts';

/** Rows that share three nodes. */
export interface Chapter {
  readonly world: WorldOptions;
  readonly rows: readonly Row[];
}

const POLICY = 'ipsecpolicy-kube-dns-sample.yaml';

export const CHAPTERS: readonly Chapter[] = [
  {
    world: { policy: POLICY },
    rows: [
      ...podRows,
      ...firstPacketRows,
      ...reuseRows,
      ...daemonRows,
      ...serviceRows,
      ...nodeRows,
      ...saRows,
      ...dpdRows,
      reauthenticationRow,
      ...icmpRows,
      ...mtuRows,
      ...negotiationRows,
      ...overlayRows,
      ...handRows,
      ...outageRows,
    ],
  },
  { world: { policy: POLICY, agentFlags: ['--node-traffic', '--strict'] }, rows: strangerRows },
  { world: { policy: POLICY, dual: true }, rows: sixRows },
  {
    world: { policy: POLICY, dual: true, agentFlags: ['--node-traffic', '--strict'] },
    rows: sixStrangerRows,
  },
  { world: { policy: POLICY, agentFlags: ['--rekey-after', '20'] }, rows: ageRows },
  {
    world: { policy: POLICY, agentFlags: ['--rekey-after', '600', '--rekey-after-packets', '300'] },
    rows: packetRows,
  },
  { world: { source: 'kubernetes' }, rows: policyRows },
  { world: { source: 'kubernetes', policy: POLICY }, rows: [...keyRows, ...toldRows] },
];
