import type { KubeClient } from '../../../kube/client.ts';
import { createReflector, type Reflector } from '../../../kube/reflector.ts';
import { createWake } from '../../../util/wake.ts';
import * as contract from '../../contract/resources.ts';
import { type KnownItems, parseItems } from '../../policies/items.ts';
import type { ClusterObjects, ObjectProblem, Snapshot, Source } from '../../snapshot.ts';
import type { ParsedObject } from '../parse-object.ts';
import { stillLacking } from './lacking.ts';
import { createLister } from './lister.ts';
import { namesOf } from './names.ts';
import { parserOf, sliceFilter } from './parser.ts';
import { sliceScope } from './slice-scope.ts';

export interface KubernetesSourceOptions {
  readonly client: KubeClient;
  /** The node whose pods are read; null if no pods are. */
  readonly nodeName: string | null;
}

type List = keyof ClusterObjects;

/** A cluster has one primary CNI or none, and may lack our own CRDs for a moment. */
const OPTIONAL: readonly List[] = ['blockAffinities', 'ciliumNodes', 'ipsecNodes'];

/** A burst of events becomes one snapshot: events of this time after the first one are waited for. */
const BURST_MS = 50;

/**
 * A reflector that can be stopped while the others run: which slices are watched changes with the policies.
 */
interface Followed {
  readonly list: List;
  readonly reflector: Reflector<ParsedObject>;
  readonly stop: () => void;
}

/**
 * The cluster as its API server has it: policies, Services, Nodes, the pods of one node, and the
 * EndpointSlices of protected Services. The first snapshot comes when all of them have been listed. While the
 * API server is away, the objects stay as they were, and the snapshot says so in `stale`.
 */
export function kubernetesSource({ client, nodeName }: KubernetesSourceOptions): Source {
  return {
    async *watch(signal, inForce = () => []) {
      const wake = createWake();
      const running: Promise<void>[] = [];
      const listed = createLister();
      const stop = new AbortController();
      const all = AbortSignal.any([signal, stop.signal]);

      const follow = (
        list: List,
        path: string,
        query: Readonly<Record<string, string>> = {},
        isWanted: (raw: unknown) => boolean = () => true,
      ): Followed => {
        const reflector = createReflector({
          client,
          path,
          query,
          parse: parserOf(list, isWanted),
          flawOf: ({ flaw = '' }) => flaw,
          onChange: wake.notify,
          optional: OPTIONAL.includes(list),
        });
        const own = new AbortController();
        running.push(reflector.run(AbortSignal.any([all, own.signal])));
        return { list, reflector, stop: () => own.abort() };
      };

      const policies = follow('policies', contract.IPSEC_POLICIES_PATH);
      const fixed = [
        policies,
        follow('nodes', '/api/v1/nodes'),
        follow('services', '/api/v1/services'),
        follow('blockAffinities', '/apis/crd.projectcalico.org/v1/blockaffinities'),
        follow('ciliumNodes', '/apis/cilium.io/v2/ciliumnodes'),
        ...(nodeName === null
          ? []
          : [
              follow('pods', '/api/v1/pods', { fieldSelector: `spec.nodeName=${nodeName}` }),
              follow('ipsecNodes', contract.IPSEC_NODES_PATH, {
                labelSelector: `${contract.LENDS_LABEL}=true`,
              }),
            ]),
      ];
      let slices = new Map<string, Followed>();
      let retired = new Map<string, Followed>();
      /** Slices that are wanted, that no watch has now, and that no former one has seen to go. */
      let lacking: ReadonlySet<string> = new Set();
      let lastGood: KnownItems = new Map();

      /**
       * Watches the slices that the policies need now. Watches that they needed before are kept in `retired`
       * until the new ones are in.
       */
      const followSlices = (): void => {
        const parsed = parseItems(listed('policies', [policies]), lastGood);
        lastGood = parsed.known;
        const wanted = sliceScope([...parsed.items, ...inForce()]).watches;
        const next = new Map(
          wanted.map((watch) => {
            // What a watch has left out comes in by another list: other Services are another watch.
            const key = JSON.stringify(watch);
            const query = watch.labelSelector === '' ? {} : { labelSelector: watch.labelSelector };
            const fresh = (): Followed => follow('endpointSlices', watch.path, query, sliceFilter(watch));
            return [key, slices.get(key) ?? retired.get(key) ?? fresh()];
          }),
        );
        for (const [key, followed] of slices) {
          if (!next.has(key)) {
            retired.set(key, followed);
          }
        }
        for (const key of next.keys()) {
          retired.delete(key);
        }
        slices = next;
      };

      const letGo = (): void => {
        for (const { stop: end } of retired.values()) {
          end();
        }
        retired = new Map();
      };

      try {
        while (!all.aborted) {
          await wake.wait(60_000, all);
          await new Promise((resolve) => setTimeout(resolve, BURST_MS));
          if (all.aborted) {
            break;
          }
          if (policies.reflector.synced) {
            followSlices();
          }
          const followed = [...fixed, ...slices.values()];
          const complete = followed.every(({ reflector }) => reflector.synced);
          lacking = complete ? stillLacking(lacking, retired, slices) : lacking;
          const snapshot = snapshotOf([...followed, ...(complete ? [] : retired.values())], listed, lacking);
          if (complete) {
            letGo();
          }
          // While some lists are not in yet, a snapshot is of use only to say why.
          if (complete || snapshot.stale !== '') {
            yield snapshot;
          }
        }
      } finally {
        stop.abort();
        await Promise.all(running);
      }
    },
  };
}

function objectsOf(followed: readonly Followed[], listed: ReturnType<typeof createLister>): ClusterObjects {
  const of = <L extends List>(list: L): NonNullable<ClusterObjects[L]> => listed(list, followed);
  return {
    services: of('services'),
    endpointSlices: of('endpointSlices'),
    nodes: of('nodes'),
    pods: of('pods'),
    policies: of('policies'),
    blockAffinities: of('blockAffinities'),
    ciliumNodes: of('ciliumNodes'),
    ipsecNodes: of('ipsecNodes'),
  };
}

function snapshotOf(
  followed: readonly Followed[],
  listed: ReturnType<typeof createLister>,
  lacking: ReadonlySet<string>,
): Snapshot {
  const problems = followed.flatMap(({ reflector }) =>
    [...reflector.problems].map(
      ([key, message]): ObjectProblem => ({ where: key.replace(/^\//, ''), message }),
    ),
  );
  const missing = namesOf(followed, (reflector) => reflector.missing);
  const errors = new Set(followed.map(({ reflector }) => reflector.error).filter((error) => error !== ''));
  return {
    objects: objectsOf(followed, listed),
    problems: problems.sort((a, b) => (a.where < b.where ? -1 : 1)),
    unread: namesOf(followed, ({ problems: unread }) => unread.keys()),
    missing:
      lacking.size === 0
        ? missing
        : { ...missing, endpointSlices: new Set([...(missing.endpointSlices ?? []), ...lacking]) },
    stale: [...errors].sort().join('; '),
  };
}
