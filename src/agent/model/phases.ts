import { createHash } from 'node:crypto';
import { BOUNDS } from '../../cluster/bounds.ts';
import type { ModelEntry, PhaseOf, PortIdentity } from '../../cluster/policies/entry.ts';
import type { PolicyItem } from '../../cluster/policies/items.ts';
import { portsOf } from '../../cluster/policies/service-ports.ts';
import { strongest } from '../../ipsec/plan/phase.ts';
import { EVERY_PORT, isEveryPort } from '../../ipsec/plan/ports.ts';
import type { Phase } from '../../ipsec/plan/types.ts';
import type { ReachedPort } from '../../rundir/accepted.ts';
import { memoized, sameElements } from '../../util/memo.ts';
import { DEPARTED_MS } from './departed.ts';
import { newestPerNamespace } from './memory/newest.ts';
import type { ModelInput } from './types.ts';

type PhaseInput = Pick<ModelInput, 'phases' | 'previous' | 'reached' | 'now'>;

/**
 * How far each port of each Service has come, by what it is, never by the name of an item: an item that is
 * renamed, split, or made wider goes on where it was, and so do the pods of a Service that another one of the
 * same namespace selects as well: Services are renamed, too. A port that nothing protects any more is
 * remembered for a while, so that a policy that is deleted and created anew does not take it back to
 * plaintext.
 */
export type ReachedPorts = ReadonlyMap<string, ReachedPort>;

const NONE: ReachedPorts = new Map();
const MESH = { namespace: '*', service: '*', proto: 'any', target: EVERY_PORT } as const;

/** By `namespace/service`, and by `namespace/=<digest of the selector>`. */
type ByService = ReadonlyMap<string, readonly ReachedPort[]>;

const reachedBefore = memoized((previous: PhaseInput['previous'], reached: ReachedPorts): ByService => {
  const { entries = [], mesh = false, meshPhase = 'require' } = previous ?? {};
  const ports: ReachedPort[] = entries.flatMap(({ namespace, service, selector, ports: all }) =>
    all.map(({ proto, target, phase = 'require' }) => ({
      namespace,
      service,
      ...podsOf(selector),
      proto,
      target,
      phase,
    })),
  );
  const all: ReachedPort[] = [
    ...ports,
    ...(mesh ? [{ ...MESH, phase: meshPhase }] : []),
    ...reached.values(),
  ];
  const selecting = all.filter(({ pods }) => pods !== undefined);
  return new Map([
    ...Map.groupBy(all, ({ namespace, service }) => `${namespace}/${service}`),
    ...Map.groupBy(selecting, ({ namespace, pods }) => `${namespace}/=${pods}`),
  ]);
});

const digests = new WeakMap<object, string>();

/** What a selector selects, in a form of bounded length; nothing if it selects nothing. */
function podsOf(selector: PortIdentity['selector']): Pick<ReachedPort, 'pods'> {
  const labels = Object.entries(selector ?? {});
  if (!selector || labels.length === 0) {
    return {};
  }
  const text = JSON.stringify(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
  const pods = digests.get(selector) ?? createHash('sha256').update(text).digest('base64url').slice(0, 22);
  digests.set(selector, pods);
  return { pods };
}

/**
 * Returns the phase of a port: that of its policy, or the phase that this node has reached with the port
 * before if that one is further.
 */
export function phaseLookup({ phases, previous, reached = NONE, now }: PhaseInput): PhaseOf {
  const before = reachedBefore(previous, reached);
  const mesh = before.get('*/*') ?? [];
  return (port) => {
    const { pods } = podsOf(port.selector);
    const own = [
      ...(before.get(`${port.namespace}/${port.service}`) ?? []),
      ...(pods === undefined ? [] : (before.get(`${port.namespace}/=${pods}`) ?? [])),
    ];
    const same = [...mesh, ...own.filter((one) => overlaps(one, port))]
      .filter(({ until }) => until === undefined || until > now)
      .map(({ phase }) => phase);
    return strongest([phases?.get(port.policy) ?? 'require', ...same]);
  };
}

/**
 * Whether a port that was protected is among those that a port means now. A wider port takes over the phase
 * of every narrower one, since at one address it absorbs them.
 */
function overlaps(before: ReachedPort, { proto, target, numbers = [] }: PortIdentity): boolean {
  if (before.proto === 'any' || proto === 'any') {
    return true;
  }
  return (
    before.proto === proto &&
    (before.target === target ||
      isEveryPort(before.target) ||
      isEveryPort(target) ||
      numbers.some((number) => number === before.target))
  );
}

/**
 * The phase of all traffic between pods, as for a port. If single services were protected before, the phase
 * is `require`, since nothing of theirs may go back to plaintext.
 */
export function phaseOfMesh(
  items: readonly PolicyItem[],
  { phases, previous, reached = NONE, now }: PhaseInput,
): Phase {
  const policies = items.filter(({ namespace }) => namespace === '*').map(({ policy }) => policy);
  if ((previous?.entries ?? []).length > 0) {
    return 'require';
  }
  const before = (reachedBefore(previous, reached).get('*/*') ?? [])
    .filter(({ until }) => until === undefined || until > now)
    .map(({ phase }) => phase);
  return strongest([...policies.map((policy) => phases?.get(policy)), ...before]);
}

let last:
  | {
      readonly lists: readonly (readonly ReachedPort[])[];
      readonly mesh: Phase | undefined;
      readonly result: ReachedPorts;
    }
  | undefined;

/**
 * What has been reached, after these entries came into force; `mesh`: the phase of the mesh, if there is one.
 * Returns `before` itself if nothing has changed.
 */
export function nextReached(
  before: ReachedPorts,
  entries: readonly ModelEntry[],
  { mesh, now }: { readonly mesh: Phase | undefined; readonly now: number },
): ReachedPorts {
  const lists = entries.map((entry, index) => portsIn(entry, last?.lists[index]));
  const unchanged = last?.result === before && last.mesh === mesh && sameElements(last.lists, lists);
  if (unchanged && !(formerIn.get(before) ?? []).some(({ until }) => (until ?? now) <= now)) {
    return before;
  }
  const result = new Map<string, ReachedPort>();
  for (const port of [...lists.flat(), ...(mesh === undefined ? [] : [{ ...MESH, phase: mesh }])]) {
    const key = keyOf(port);
    result.set(key, { ...port, phase: strongest([port.phase, result.get(key)?.phase ?? port.phase]) });
  }
  const gone = [...before]
    .filter(([key]) => !result.has(key))
    .map(([, port]) => ({ ...port, until: port.until ?? now + DEPARTED_MS }))
    .filter(({ until }) => until > now);
  const former = newestPerNamespace(gone, BOUNDS.formerPorts);
  for (const port of former) {
    result.set(keyOf(port), port);
  }
  const same =
    result.size === before.size && [...result].every(([key, port]) => equal(port, before.get(key)));
  last = { lists, mesh, result: same ? before : result };
  formerIn.set(last.result, former);
  return last.result;
}

/** Those of the ports that nothing protects any more. */
const formerIn = new WeakMap<ReachedPorts, readonly ReachedPort[]>();

const equal = (a: ReachedPort, b: ReachedPort | undefined): boolean =>
  a.phase === b?.phase && a.until === b.until && a.pods === b.pods;

const portsOfEntry = new WeakMap<ModelEntry, readonly ReachedPort[]>();

/** The ports of an entry, and the numbers that its slices give for those with names; `before` if equal. */
function portsIn(model: ModelEntry, before: readonly ReachedPort[] = []): readonly ReachedPort[] {
  const known = portsOfEntry.get(model);
  if (known !== undefined) {
    return known;
  }
  const found = findPorts(model);
  const ports = JSON.stringify(found) === JSON.stringify(before) ? before : found;
  portsOfEntry.set(model, ports);
  return ports;
}

function findPorts({ entry, slices, portNames }: ModelEntry): ReachedPort[] {
  const { namespace, service, selector, ports } = entry;
  const pods = podsOf(selector);
  const protos = new Set(ports.map(({ proto }) => proto));
  return [
    ...ports.map(({ proto, target, phase = 'require' }) => ({
      namespace,
      service,
      ...pods,
      proto,
      target,
      phase,
    })),
    ...[...protos].flatMap((proto) =>
      portsOf(slices, proto).flatMap(({ name, port }) => {
        const phase = portNames.get(`${proto}/${name}`);
        return phase === undefined ? [] : [{ namespace, service, ...pods, proto, target: port, phase }];
      }),
    ),
  ];
}

export function reachedByKey(ports: readonly ReachedPort[]): ReachedPorts {
  return new Map(ports.map((port) => [keyOf(port), port]));
}

function keyOf({ namespace, service, proto, target }: ReachedPort): string {
  return `${namespace}/${service} ${proto}/${typeof target}/${target}`;
}
