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

type List = 'policies' | 'nodes' | 'pods' | 'endpointSlices' | 'blockAffinities' | 'ciliumNodes';

const KINDS = {
  policies: 'IPsecPolicies',
  nodes: 'Nodes',
  pods: 'Pods of this node',
  endpointSlices: 'EndpointSlices',
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

const NAMESPACED: readonly List[] = ['pods', 'endpointSlices'];
const NOTHING: readonly [] = [];
const namesIn = new WeakMap<readonly object[], ReadonlySet<string>>();

/** Each list is read once: after nearly every event, nearly all lists are the same. */
function namesRead(list: List, objects: ClusterObjects): ReadonlySet<string> {
  const all = objects[list] ?? NOTHING;
  const names =
    namesIn.get(all) ??
    new Set(
      all.map(({ metadata: { namespace = 'default', name } }) =>
        NAMESPACED.includes(list) ? `${namespace}/${name}` : name,
      ),
    );
  namesIn.set(all, names);
  return names;
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
      return seen === undefined ? [] : [...namesRead(list, seen)];
  }
}

/**
 * Slices, and lists of the primary CNI, are taken as they are read, and nothing remembers what they said:
 * what is missing of them and still believed to be there stays as it was.
 */
export function withHeldLists(
  objects: ClusterObjects,
  seen: ClusterObjects | undefined,
  held: ObjectNames,
): ClusterObjects {
  const kept = <T extends { readonly metadata: { readonly name: string } }>(
    all: readonly T[] | undefined,
    names: ReadonlySet<string> = NO_NAMES,
  ): readonly T[] => (names.size === 0 ? [] : (all ?? []).filter(({ metadata }) => names.has(metadata.name)));
  const slices =
    (held.endpointSlices ?? NO_NAMES).size === 0
      ? []
      : (seen?.endpointSlices ?? []).filter(({ metadata: { namespace = 'default', name } }) =>
          held.endpointSlices?.has(`${namespace}/${name}`),
        );
  const blocks = kept(seen?.blockAffinities, held.blockAffinities);
  const nodes = kept(seen?.ciliumNodes, held.ciliumNodes);
  return {
    ...objects,
    ...(slices.length === 0 ? {} : { endpointSlices: [...objects.endpointSlices, ...slices] }),
    ...(blocks.length === 0 ? {} : { blockAffinities: [...(objects.blockAffinities ?? []), ...blocks] }),
    ...(nodes.length === 0 ? {} : { ciliumNodes: [...(objects.ciliumNodes ?? []), ...nodes] }),
  };
}
