import { daemonRows } from './rows/daemons.ts';
import { icmpRows } from './rows/icmp.ts';
import { mtuRows } from './rows/mtu.ts';
import { negotiationRows } from './rows/negotiation.ts';
import { nodeRows } from './rows/nodes.ts';
import { overlayRows } from './rows/overlay.ts';
import { podRows } from './rows/pods.ts';
import { policyRows, serviceRows } from './rows/policies.ts';
import { saRows } from './rows/sas.ts';
import { sixRows } from './rows/six.ts';
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
      ...daemonRows,
      ...serviceRows,
      ...nodeRows,
      ...saRows,
      ...icmpRows,
      ...mtuRows,
      ...negotiationRows,
      ...overlayRows,
    ],
  },
  { world: { policy: POLICY, agentFlags: ['--node-traffic', '--strict'] }, rows: strangerRows },
  { world: { policy: POLICY, dual: true }, rows: sixRows },
  { world: { source: 'kubernetes' }, rows: policyRows },
];
