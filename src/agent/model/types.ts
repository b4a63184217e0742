import type { ClusterObjects, ObjectProblem } from '../../cluster/objects.ts';
import type { KnownItems } from '../../cluster/policies/items.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { NodeCacheContent } from '../../rundir/schema.ts';

export interface ModelInput {
  readonly objects: ClusterObjects;
  readonly nodeName: string;
  readonly childSaScope: NodeCacheContent['childSaScope'];
  /** Node addresses are clients too (`nodeTraffic`). */
  readonly nodeTraffic?: boolean;
  readonly strict?: boolean;
  /** False: what goes to endpoints that this node has not read of yet goes in the clear. */
  readonly protectUnlisted?: boolean;
  /** How far each IPsecPolicy's new ports are; a policy that is missing here is required. */
  readonly phases?: ReadonlyMap<string, Phase>;
  /** What was computed before: it keeps reqids stable, and what was required once stays required. */
  readonly previous: Pick<
    NodeCacheContent,
    'peers' | 'departed' | 'node' | 'entries' | 'mesh' | 'meshPhase'
  > | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What was accepted before: it stays in force if an edit breaks it. */
  readonly knownItems: KnownItems;
}

export interface Model {
  readonly content: NodeCacheContent;
  readonly knownItems: KnownItems;
  readonly problems: readonly ObjectProblem[];
}
