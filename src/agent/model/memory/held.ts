import type { ClusterObjects, ObjectNames, Snapshot } from '../../../cluster/snapshot.ts';
import type { NodeCache } from '../../../rundir/schema.ts';
import type { Memory } from './accepted.ts';
import { createDoubts, type Doubts } from './doubt.ts';
import { NO_NAMES, union } from './there.ts';

export interface Before {
  readonly memory: Memory;
  readonly previous: NodeCache | null;
  /** The objects of the snapshot before; undefined if this one is the first. */
  readonly seen: ClusterObjects | undefined;
}

export interface Believed {
  readonly unread: ObjectNames;
  readonly held: ObjectNames;
}

export interface Beliefs extends Pick<Doubts, 'problems' | 'ended'> {
  /** What a snapshot leaves out and is believed to be there: by its own word, or because it is doubted. */
  believe(snapshot: Snapshot, before: Before, now: number): Believed;
}

type List = 'policies' | 'nodes' | 'pods' | 'blockAffinities' | 'ciliumNodes';

const KINDS = {
  policies: 'IPsecPolicies',
  nodes: 'Nodes',
  pods: 'Pods of this node',
  blockAffinities: 'BlockAffinities',
  ciliumNodes: 'CiliumNodes',
} as const satisfies Readonly<Record<List, string>>;
const LISTS = Object.keys(KINDS) as List[];
const UNREADABLE = [...LISTS, 'services'] as const;

export function createBeliefs(): Beliefs {
  const { held, problems, ended } = createDoubts();
  /** What an earlier agent knew and this one has not seen yet. */
  let lost: Partial<Record<List, ReadonlySet<string>>> | undefined;
  /** The sets of the last snapshot: what is made from them is remembered by identity. */
  let last: ObjectNames = {};
  const steadied = (next: ObjectNames): ObjectNames => {
    last = Object.fromEntries(
      UNREADABLE.map((list) => [list, sameNames(last[list] ?? NO_NAMES, next[list] ?? NO_NAMES)]),
    );
    return last;
  };
  return {
    problems,
    ended,
    believe(snapshot, before, now) {
      const first = before.seen === undefined;
      const readable = new Map(LISTS.map((list) => [list, namesRead(list, snapshot.objects)]));
      const names = (list: List): ReadonlySet<string> => readable.get(list) ?? NO_NAMES;
      const without = (all: Iterable<string>, list: List): ReadonlySet<string> =>
        new Set([...all].filter((name) => !names(list).has(name)));
      lost =
        first || snapshot.opaque === true
          ? Object.fromEntries(
              LISTS.map((list) => [
                list,
                without(first ? namesBefore(list, before) : (lost?.[list] ?? []), list),
              ]),
            )
          : undefined;
      const unread = steadied(
        Object.fromEntries(
          UNREADABLE.map((list) => {
            const hidden = snapshot.opaque === true && list !== 'services' ? lost?.[list] : undefined;
            return [list, union(snapshot.unread?.[list] ?? NO_NAMES, hidden ?? NO_NAMES)];
          }),
        ),
      );
      return {
        unread,
        held: Object.fromEntries(
          LISTS.map((list) => [
            list,
            held(
              {
                kind: KINDS[list],
                before: namesBefore(list, before),
                there: new Set([...names(list), ...(unread[list] ?? [])]),
                missing: first ? undefined : (snapshot.missing?.[list] ?? NO_NAMES),
                whole: list === 'pods',
              },
              now,
            ),
          ]),
        ),
      };
    },
  };
}

function sameNames(before: ReadonlySet<string>, next: ReadonlySet<string>): ReadonlySet<string> {
  return before.size === next.size && [...next].every((name) => before.has(name)) ? before : next;
}

function namesRead(list: List, objects: ClusterObjects): ReadonlySet<string> {
  return new Set(
    (objects[list] ?? []).map(({ metadata: { namespace = 'default', name } }) =>
      list === 'pods' ? `${namespace}/${name}` : name,
    ),
  );
}

function namesBefore(list: List, { memory, previous, seen }: Before): string[] {
  switch (list) {
    case 'policies':
      return [...new Set([...memory.knownItems.values()].map(({ policy }) => policy))];
    case 'nodes':
      return previous === null ? [] : [previous.node, ...previous.peers].map(({ name }) => name);
    case 'pods':
      return (previous?.pods ?? []).map(({ namespace, name }) => `${namespace}/${name}`);
    default:
      return (seen?.[list] ?? []).map(({ metadata }) => metadata.name);
  }
}

/** Lists of the primary CNI are whole or worth nothing: what is missing of them stays. */
export function withHeldLists(
  objects: ClusterObjects,
  seen: ClusterObjects | undefined,
  held: ObjectNames,
): ClusterObjects {
  const kept = <T extends { readonly metadata: { readonly name: string } }>(
    all: readonly T[] | undefined,
    names: ReadonlySet<string> = NO_NAMES,
  ): readonly T[] => (all ?? []).filter(({ metadata }) => names.has(metadata.name));
  const blocks = kept(seen?.blockAffinities, held.blockAffinities);
  const nodes = kept(seen?.ciliumNodes, held.ciliumNodes);
  return {
    ...objects,
    ...(blocks.length === 0 ? {} : { blockAffinities: [...(objects.blockAffinities ?? []), ...blocks] }),
    ...(nodes.length === 0 ? {} : { ciliumNodes: [...(objects.ciliumNodes ?? []), ...nodes] }),
  };
}
