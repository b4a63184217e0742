import type { ConfirmingNode } from './contract/confirming-node.ts';
import type { BlockAffinity, CiliumNode, EndpointSlice, IPsecPolicy, Node, Pod, Service } from './objects.ts';

/** All objects of a source at one time. Sources hand over a new value for each burst of events. */
export interface ClusterObjects {
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly policies: readonly IPsecPolicy[];
  /** Present where the primary CNI keeps the pod CIDRs of nodes in objects of its own. */
  readonly blockAffinities?: readonly BlockAffinity[];
  readonly ciliumNodes?: readonly CiliumNode[];
  /** Those of nodes that have pods with addresses outside of their pod CIDRs (docs/design.md, Places). */
  readonly ipsecNodes?: readonly ConfirmingNode[];
}

/** A problem with one object, in words with which a user can mend it. */
export interface ObjectProblem {
  /** File (directory source) or `kind namespace/name`. */
  readonly where: string;
  /** Names the field and the value. */
  readonly message: string;
}

/** Names of objects, `name` or `namespace/name`, of each list that has any. */
export type ObjectNames = { readonly [List in keyof ClusterObjects]?: ReadonlySet<string> };

/** What a source says at one time. */
export interface Snapshot {
  readonly objects: ClusterObjects;
  readonly problems: readonly ObjectProblem[];
  /** Objects that are there, and that the source does not understand, or not as a whole. */
  readonly unread?: ObjectNames;
  /** Something is there that never could be read: what is not seen may be in it. */
  readonly opaque?: boolean;
  /** Objects that a new list lacks, and that nobody has seen deleted. Absent: those that go were seen to. */
  readonly missing?: ObjectNames;
  /** Empty if the objects are current; otherwise why they are old. What is in force stays in force then. */
  readonly stale: string;
}

/** What an item names. */
export interface NamedService {
  readonly namespace: string;
  readonly service: string;
}

/** Where cluster state comes from. */
export interface Source {
  /**
   * Yields the current state, then a new state after every burst of changes, until the signal aborts. Throws
   * SourceError if a folder cannot be read at the start; later on, a source that cannot be read yields what
   * it read last, and says so in `problems` or `stale`. `inForce`: which Services' slices are needed, beside
   * those that the policies of the source name; `*` stands for all of a namespace.
   */
  watch(signal: AbortSignal, inForce?: () => readonly NamedService[]): AsyncIterable<Snapshot>;
}
