import type { ModelEntry } from '../../cluster/policies/entry.ts';
import { portsOf } from '../../cluster/policies/service-ports.ts';
import { childFor, isWide, ownChild, wideChildName } from '../../ipsec/plan/child.ts';
import { compareFurthest } from '../../ipsec/plan/phase.ts';
import { EVERY_PORT, isEveryPort } from '../../ipsec/plan/ports.ts';
import { resolvePorts, selects } from '../../ipsec/plan/served.ts';
import type { Phase, Protocol } from '../../ipsec/plan/types.ts';
import type { CacheChild, CachePod, NodeCacheContent, ProtectedPort } from '../../rundir/schema.ts';

/**
 * The children of the cluster, in the order of their items, then by name. Each entry has its own, with its
 * own ports, whatever ports others have: what somebody writes into a Service moves nobody else's traffic
 * (docs/design.md, Which child).
 */
export function buildChildren(entries: readonly ModelEntry[], pods: readonly CachePod[]): CacheChild[] {
  const children = new Map<string, { proto: Protocol; rank: number; ports: Set<number> }>();
  const note = (name: string, proto: Protocol, { rank }: ModelEntry, ports: readonly number[]): void => {
    const child = children.get(name) ?? { proto, rank, ports: new Set<number>() };
    child.rank = Math.min(child.rank, rank);
    for (const port of isWide(name) ? [] : ports) {
      child.ports.add(port);
    }
    children.set(name, child);
  };
  for (const model of entries) {
    for (const proto of new Set(model.entry.ports.map((port) => port.proto))) {
      const targets = model.entry.ports.filter((port) => port.proto === proto).map(({ target }) => target);
      if (targets.some(isEveryPort)) {
        note(wideChildName(proto), proto, model, []);
      }
      const ports = numbersOf(model, proto, pods)
        .map(({ port }) => port)
        .filter((port) => !isEveryPort(port));
      if (ports.length > 0) {
        note(ownChild(model.entry, proto), proto, model, ports);
      }
    }
  }
  return [...children]
    .sort(([a, one], [b, other]) => one.rank - other.rank || (a < b ? -1 : 1))
    .map(([name, { proto, ports }]) => ({ name, proto, ports: [...ports].sort((a, b) => a - b) }));
}

interface NumberedPort {
  readonly port: number;
  readonly phase: Phase;
}

/** An entry's claim to a port: its own phase, and how narrowly its items name the number. */
interface Claim extends NumberedPort {
  readonly model: ModelEntry;
  /** The wide child carries it, as a whole protocol stands for it. */
  readonly isWide: boolean;
  readonly width: number;
}

/**
 * All protected ports of the whole cluster, sorted; EVERY_PORT where a protocol is protected as a whole.
 * Unlisted endpoints may serve those that are numbers, and departed peers' pods may have served any of them
 * (docs/design.md, Unlisted and departed).
 *
 * Of several entries with one port, the child is that of the one that is furthest in its phases, as peers may
 * not know yet a child that is being enabled; then of the one whose item names the number most narrowly, so
 * that a Service's `targetPort` takes no port away from an item that names it; then of the first item.
 *
 * Where a whole protocol stands for too many ports of a Service, these are among the numbers, through the
 * wide child.
 */
export function protectedPorts(
  entries: readonly ModelEntry[],
  pods: readonly CachePod[],
  children: Pick<NodeCacheContent, 'childSaScope' | 'children'>,
): ProtectedPort[] {
  const found = new Map<string, { readonly proto: Protocol; readonly first: Claim }>();
  for (const model of entries) {
    for (const proto of new Set(model.entry.ports.map((port) => port.proto))) {
      const own = numbersOf(model, proto, pods).map((each) => ({ ...each, isWide: false }));
      const single = singleNumbersOf(model, proto, pods).map((each) => ({ ...each, isWide: true }));
      for (const numbered of [...own, ...single]) {
        const key = `${proto}/${String(numbered.port).padStart(5, '0')}`;
        const claim = { ...numbered, model, width: widthIn(model, proto, numbered.port) };
        const before = found.get(key)?.first;
        const first = before === undefined || compareClaims(claim, before) < 0 ? claim : before;
        found.set(key, { proto, first });
      }
    }
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { proto, first }]) => ({
      proto,
      port: first.port,
      child: childFor(children, first.model.entry, proto, first.isWide ? EVERY_PORT : first.port),
      ...(first.phase === 'require' ? {} : { phase: first.phase }),
    }));
}

/** Entries come sorted by name, which decides where nothing else does: within one item. */
function compareClaims(a: Claim, b: Claim): number {
  return compareFurthest(a.phase, b.phase) || compareNumbers(a.width, b.width) || a.model.rank - b.model.rank;
}

/** Two infinite numbers are equal. */
const compareNumbers = (a: number, b: number): number => (a === b ? 0 : a - b);

/**
 * How narrowly an entry's items name a port, as a number of ports; infinite if they do not name its number.
 */
function widthIn({ specs }: ModelEntry, proto: Protocol, port: number): number {
  const widths = specs
    .filter((spec) => spec.proto === proto && spec.first <= port && port <= spec.last)
    .map(({ first, last }) => last - first);
  return Math.min(...widths);
}

const remembered = new WeakMap<
  ModelEntry,
  { readonly pods: readonly CachePod[]; readonly numbers: Map<string, readonly NumberedPort[]> }
>();

/**
 * The target ports of an entry, in numbers, as its service, its slices and its pods give them. A pod counts
 * before any slice lists it, because ADD needs its child.
 */
function numbersOf(model: ModelEntry, proto: Protocol, pods: readonly CachePod[]): readonly NumberedPort[] {
  const { entry, portNames } = model;
  return rememberedNumbers(model, proto, pods, () =>
    findNumbers(model, proto, pods, { ports: entry.ports, names: portNames }),
  );
}

/** The same of the ports for which a whole protocol stands. */
function singleNumbersOf(
  model: ModelEntry,
  proto: Protocol,
  pods: readonly CachePod[],
): readonly NumberedPort[] {
  const { single } = model;
  return single.ports.length === 0
    ? []
    : rememberedNumbers(model, `single ${proto}`, pods, () => findNumbers(model, proto, pods, single));
}

function rememberedNumbers(
  model: ModelEntry,
  key: string,
  pods: readonly CachePod[],
  find: () => readonly NumberedPort[],
): readonly NumberedPort[] {
  const before = remembered.get(model);
  const { numbers } =
    before?.pods === pods ? before : { numbers: new Map<string, readonly NumberedPort[]>() };
  const found = numbers.get(key) ?? find();
  numbers.set(key, found);
  remembered.set(model, { pods, numbers });
  return found;
}

function findNumbers(
  { entry, slices }: ModelEntry,
  proto: Protocol,
  pods: readonly CachePod[],
  { ports, names }: ModelEntry['single'],
): NumberedPort[] {
  const named = portsOf(slices, proto).flatMap(({ name, port }) => {
    const phase = names.get(`${proto}/${name}`);
    return phase === undefined ? [] : [{ port, phase }];
  });
  const resolved = (name: string): number[] =>
    pods.filter((pod) => selects(entry, pod)).flatMap((pod) => resolvePorts(pod, proto, name));
  return [
    ...named,
    ...ports
      .filter((port) => port.proto === proto)
      .flatMap(({ target, phase }) => {
        const numbers = typeof target === 'number' ? [target] : resolved(target);
        return numbers.map((port) => ({ port, phase: phase ?? 'require' }));
      }),
  ];
}
