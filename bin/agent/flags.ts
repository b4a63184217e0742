import type { Profile } from '../../src/ipsec/charon/profile.ts';
import type { KeyType } from '../../src/pki/crypto.ts';

/** Options of every command that touches the node. */
export interface NodeFlags {
  readonly runDir: string;
  readonly stateDir?: string;
  readonly vici: string;
  readonly ip: string;
  readonly nft: string;
  readonly sysctlRoot: string;
}

/** Options of `run`. */
export interface RunFlags extends NodeFlags {
  readonly nodeName: string;
  readonly source: 'directory' | 'kubernetes';
  readonly sourceDir?: string;
  readonly kubeconfig?: string;
  readonly daemonset?: string;
  readonly pkiDir: string;
  readonly certificates?: 'request' | 'files';
  readonly keyType: KeyType;
  readonly caSpread: number;
  readonly namespace: string;
  readonly childSaScope: 'service' | 'node';
  readonly nodeTraffic?: boolean;
  readonly strict?: boolean;
  readonly routes?: boolean;
  readonly hashThresholds: boolean;
  readonly unlistedEndpoints: 'protect' | 'pass';
  readonly proposals: Profile;
  readonly rekeyAfter: number;
  readonly rekeyAfterPackets: number;
  readonly renewalHold: number;
  readonly phaseLimit: number;
  readonly cniBinDir?: string;
  readonly cniConfDir?: string;
  readonly listen?: string;
  readonly logLevel: string;
}
