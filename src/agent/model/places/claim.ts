import type { EndpointSlice } from '../../../cluster/objects.ts';
import type { ProtectedPort } from '../../../rundir/schema.ts';
import type { Placement } from './place.ts';

/** In place of a node's name: the address is lost. No node has an empty name. */
export const NOWHERE = '';

/** What an entry says of one address, by one slice. */
export interface Claim extends Placement {
  readonly slice: EndpointSlice;
  /** Of entry and slice. */
  readonly namespace: string;
  /** Whether Kubernetes made the slice from pods. */
  readonly managed: boolean;
  /** Whether the slice says that the address is of a pod that the entry selects. */
  readonly podRef: boolean;
  /** Sorted, each once. */
  readonly ports: ProtectedPort[];
  /** The entry's: its place in the order of the policies' items. */
  readonly rank: number;
}
