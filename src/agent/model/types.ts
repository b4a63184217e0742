import type { ClusterObjects, ObjectProblem } from '../../cluster/objects.ts';
import type { KnownItems } from '../../cluster/policies/items.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { NodeCacheContent } from '../../rundir/schema.ts';

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
    | (Pick<NodeCacheContent, 'peers' | 'departed' | 'node' | 'entries' | 'mesh' | 'meshPhase'> &
        Partial<Pick<NodeCacheContent, 'endpoints' | 'localEndpoints'>>)
    | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The items that were accepted before. An item stays in force if an edit breaks it. */
  readonly knownItems: KnownItems;
}

export interface Model {
  readonly content: NodeCacheContent;
  readonly knownItems: KnownItems;
  readonly problems: readonly ObjectProblem[];
}
