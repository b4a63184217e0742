import type { NodeStatus, ObservedPolicy } from '../../cluster/contract/node-status.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { CertificateReport } from '../charon/link.ts';

/** An IPsecPolicy of which this node enforces this generation, and the phase in which its new ports are. */
export interface PolicyRef {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly phase: Phase;
}

/** What the agent knows of its own node. */
export interface NodeReport {
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  /** Addresses of the node's pods that lie in none of its pod CIDRs, sorted. */
  readonly addressesOutside: readonly string[];
  /** What the node enforces, as the others may know it. */
  readonly policies: readonly ObservedPolicy[];
  readonly xfrmPolicies: number;
  readonly ikeSas: number;
  readonly childSas: number;
  /** The certificate with which charon works; null while charon is away or has none. */
  readonly certificate: CertificateReport | null;
  /** Peers with which the last negotiation failed, and why. */
  readonly failures: NodeStatus['failures'];
  readonly problems: readonly string[];
  /** Empty if the node is in step with the cluster and charon answers, otherwise why not. */
  readonly error: string;
}
