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
  /** What a CHILD_SA serves before it is replaced. */
  readonly rekeyAfter: Lifetime;
  readonly pace: Pace;
  /** For which the controller waits for a node that is to bring up what live traffic will need. */
  readonly phaseLimitMs: number;
  readonly readIdentity: () => Promise<NodeIdentity>;
  /** An SA went down: with an older agent's configuration its trap may have come back. */
  readonly onDown: () => void;
  /** A negotiation failed, or one that had failed succeeded. */
  readonly onFailures: () => void;
  /** What policies are held to has changed. */
  readonly onPins: () => void;
  readonly onOrphans: (replaced: number) => void;
  readonly onError: (error: unknown) => void;
}

/** Time limit for connecting to charon, and for each command; milliseconds. */
export const CONNECT_MS = 5_000;
