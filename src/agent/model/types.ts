import type { KnownItems } from '../../cluster/policies/items.ts';
import type { ClusterObjects, ObjectNames, ObjectProblem } from '../../cluster/snapshot.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { AcceptedService, ReachedPort } from '../../rundir/accepted.ts';
import type { NodeCacheContent } from '../../rundir/schema.ts';
import type { WithdrawnItems } from './memory/withdrawn.ts';

export interface ModelInput {
  readonly objects: ClusterObjects;
  readonly nodeName: string;
  readonly childSaScope: NodeCacheContent['childSaScope'];
  /** Node addresses are clients as well (`nodeTraffic`). */
  readonly nodeTraffic?: boolean;
  readonly strict?: boolean;
  /** False: traffic to unlisted endpoints goes in the clear (docs/design.md, Unlisted and departed). */
  readonly protectUnlisted?: boolean;
  /**
   * The phase of each IPsecPolicy's new ports, by the name of the policy; a policy that is missing has the
   * phase `require`.
   */
  readonly phases?: ReadonlyMap<string, Phase>;
  /**
   * The content that was computed before. It keeps reqids stable, what was required once stays required, and
   * who had an address or a CIDR keeps it.
   */
  readonly previous:
    | (Pick<NodeCacheContent, 'peers' | 'departed' | 'node' | 'entries' | 'mesh' | 'meshPhase' | 'pods'> &
        Partial<Pick<NodeCacheContent, 'endpoints' | 'localEndpoints' | 'lost' | 'unreachable'>>)
    | null;
  /** Milliseconds since the epoch, by a clock that never jumps. */
  readonly now: number;
  /** The items that were accepted before. An item stays in force if an edit breaks it. */
  readonly knownItems: KnownItems;
  /** Items of policies that were deleted a moment ago. */
  readonly withdrawn?: WithdrawnItems;
  /** Services that items name, as they last were, by `namespace/name`. */
  readonly services?: ReadonlyMap<string, AcceptedService>;
  /** How far ports have come, whatever item named them. */
  readonly reached?: ReadonlyMap<string, ReachedPort>;
  /** Objects that are there and cannot be read. */
  readonly unread?: ObjectNames;
  /** Objects that are missing, and still believed to be there. */
  readonly held?: ObjectNames;
}

export interface Model {
  readonly content: NodeCacheContent;
  readonly knownItems: KnownItems;
  readonly withdrawn: WithdrawnItems;
  readonly services: ReadonlyMap<string, AcceptedService>;
  readonly reached: ReadonlyMap<string, ReachedPort>;
  readonly problems: readonly ObjectProblem[];
}
