import type { Profile } from '../../ipsec/charon/profile.ts';
import type { Iproute2 } from '../../ipsec/xfrm/iproute2.ts';
import type { NodeIdentity } from '../../pki/identity.ts';
import type { Pace } from './pace.ts';
import type { Lifetime } from './renewal.ts';

export interface CharonSessionOptions {
  /** charon's VICI socket. */
  readonly path: string;
  readonly profile: Profile;
  readonly iproute2: Iproute2;
  /** How long a CHILD_SA is used before it is replaced. */
  readonly rekeyAfter: Lifetime;
  readonly pace: Pace;
  /**
   * How long the controller waits for a node to bring up the CHILD_SAs that live traffic will need;
   * milliseconds.
   */
  readonly phaseLimitMs: number;
  readonly readIdentity: () => Promise<NodeIdentity>;
  /** An SA went down. If it had an older agent's configuration, charon may have put its trap back. */
  readonly onDown: () => void;
  /** A negotiation failed, or one succeeded with a peer with which one had failed. */
  readonly onFailures: () => void;
  /** The pins have changed. */
  readonly onPins: () => void;
  /** Orphans were found and replaced; gets how many. */
  readonly onOrphans: (replaced: number) => void;
  readonly onError: (error: unknown) => void;
}

/** Time limit for connecting to charon, and for each command; milliseconds. */
export const CONNECT_MS = 5_000;
