import type { ClusterObjects, NamedService, ObjectNames, Snapshot } from '../../cluster/objects.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { Accepted } from '../../rundir/accepted.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { steadyClock } from '../../util/steady-clock.ts';
import { createEnabling } from '../enabling/enabling.ts';
import { acceptedFrom, cacheAnew, type Memory, memoryFrom } from './memory/accepted.ts';
import { createDoubts } from './memory/doubt.ts';
import { namesThere } from './memory/there.ts';
import { nextEnd } from './memory/until.ts';
import { buildNodeCache } from './model.ts';
import type { Model, ModelInput } from './types.ts';

export interface ModellerOptions extends Pick<ModelInput, 'nodeName' | 'childSaScope'> {
  readonly nodeTraffic: boolean;
  readonly strict: boolean;
  readonly protectUnlisted: boolean;
  /** Seconds for which the controller waits for a node while a policy is being enabled. */
  readonly phaseLimitS: number;
}

/** What an earlier agent has left, and where this one leaves it. */
export interface Remembered {
  /** Whether there is a node cache. */
  readonly cache: boolean;
  readonly accepted: Accepted | null;
  /** Called when what is accepted has changed, before it is in force; false if it could not be kept. */
  readonly keep: (accepted: Accepted) => boolean;
  /** Milliseconds since the epoch, by a clock that never jumps. */
  readonly now?: () => number;
}

export interface Modeller {
  /** One snapshot after the other; `previous`: the cache that was made before. Throws ModelError. */
  readonly model: (snapshot: Snapshot, previous: NodeCache | null) => Modelled;
  /** What the items that are in force name. */
  readonly inForce: () => readonly NamedService[];
}

type Modelled = Pick<Model, 'content' | 'problems'> & {
  readonly phases: ReadonlyMap<string, Phase>;
  /** Whether something has ended by time since, so that another result is due. */
  readonly due: () => boolean;
};

/** Lists of primary CNIs: without them, nodes would seem to have other pod CIDRs. */
const CNI_LISTS = ['blockAffinities', 'ciliumNodes'] as const;

/**
 * The model with a memory: what was accepted once stays in force until it is withdrawn, through restarts of
 * the agent as well (docs/design.md, What was accepted).
 */
export function createModeller(options: ModellerOptions, remembered: Remembered): Modeller {
  const { nodeName, childSaScope, nodeTraffic, strict, protectUnlisted } = options;
  const { now = steadyClock(), keep } = remembered;
  const enabling = createEnabling(remembered.cache, 1_000 * options.phaseLimitS, now);
  const doubts = createDoubts();
  const settings = { nodeName, childSaScope, nodeTraffic, strict, protectUnlisted };
  let memory: Memory = memoryFrom(remembered.accepted, now());
  let kept = textOfMemory(memory);
  /** Undefined until the first snapshot has been understood. */
  let seen: ClusterObjects | undefined;

  const heldIn = (snapshot: Snapshot, previous: NodeCache | null, at: number): ObjectNames => {
    const missing = (list: keyof ClusterObjects): ReadonlySet<string> | undefined =>
      seen === undefined ? undefined : (snapshot.missing?.[list] ?? new Set());
    const held = (
      list: 'nodes' | 'pods' | 'policies' | 'blockAffinities' | 'ciliumNodes',
      [kind, before]: readonly [string, readonly string[]],
    ): ReadonlySet<string> =>
      doubts.held(
        { kind, before, there: namesThere(list, snapshot), missing: missing(list), whole: list === 'pods' },
        at,
      );
    const nodes = previous === null ? [] : [previous.node, ...previous.peers];
    const pods = (previous?.pods ?? []).map(({ namespace, name }) => `${namespace}/${name}`);
    const former = (list: (typeof CNI_LISTS)[number]): string[] =>
      (seen?.[list] ?? []).map(({ metadata }) => metadata.name);
    return {
      policies: held('policies', [
        'IPsecPolicies',
        [...new Set([...memory.knownItems.values()].map(({ policy }) => policy))],
      ]),
      nodes: held('nodes', ['Nodes', nodes.map(({ name }) => name)]),
      pods: held('pods', [`Pods of ${nodeName}`, pods]),
      blockAffinities: held('blockAffinities', ['BlockAffinities', former('blockAffinities')]),
      ciliumNodes: held('ciliumNodes', ['CiliumNodes', former('ciliumNodes')]),
    };
  };

  return {
    inForce: () => [...memory.knownItems.values()],
    model: (snapshot, given) => {
      const at = now();
      const previous = seen === undefined ? cacheAnew(given, at) : given;
      const held = heldIn(snapshot, previous, at);
      const objects = withHeldLists(snapshot.objects, seen, held);
      const phases = enabling.phases(objects.policies);
      const { unread = {} } = snapshot;
      const { content, problems, ...next } = buildNodeCache({
        ...settings,
        ...memory,
        objects,
        previous,
        phases,
        now: at,
        unread,
        held,
      });
      seen = objects;
      const text = sameMemory(memory, next) ? kept : textOfMemory(next);
      if (text !== kept && keep(acceptedFrom(next, at))) {
        kept = text;
      }
      memory = next;
      const end = nextEnd(content, memory);
      return {
        content,
        problems: [...doubts.problems(), ...problems],
        phases,
        due: () => now() >= end || doubts.ended(now()),
      };
    },
  };
}

const sameMemory = (a: Memory, b: Memory): boolean =>
  a.knownItems === b.knownItems && a.services === b.services && a.reached === b.reached;

const textOfMemory = (memory: Memory): string => JSON.stringify(acceptedFrom(memory, 0));

/** Lists of the primary CNI are whole or worth nothing: what is missing of them stays. */
function withHeldLists(
  objects: ClusterObjects,
  seen: ClusterObjects | undefined,
  held: ObjectNames,
): ClusterObjects {
  const [affinities, nodes] = [held.blockAffinities, held.ciliumNodes];
  return {
    ...objects,
    ...(affinities === undefined || affinities.size === 0
      ? {}
      : {
          blockAffinities: [
            ...(objects.blockAffinities ?? []),
            ...(seen?.blockAffinities ?? []).filter(({ metadata }) => affinities.has(metadata.name)),
          ],
        }),
    ...(nodes === undefined || nodes.size === 0
      ? {}
      : {
          ciliumNodes: [
            ...(objects.ciliumNodes ?? []),
            ...(seen?.ciliumNodes ?? []).filter(({ metadata }) => nodes.has(metadata.name)),
          ],
        }),
  };
}
