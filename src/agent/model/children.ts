import type { ModelEntry } from '../../cluster/policies/entries.ts';
import { portsOf } from '../../cluster/policies/service-ports.ts';
import { childFor, childName, wideChildName } from '../../ipsec/plan/child.ts';
import { strongest } from '../../ipsec/plan/phase.ts';
import { isEveryPort } from '../../ipsec/plan/ports.ts';
import { resolvePorts, selects } from '../../ipsec/plan/served.ts';
import type { Phase, Protocol } from '../../ipsec/plan/types.ts';
import type { CacheChild, CachePod, NodeCacheContent, ProtectedPort } from '../../rundir/schema.ts';

/**
 * The children of the cluster, sorted by name. A port that several entries name belongs to the entry whose
 * name sorts first, so the port sets of two children with one protocol never overlap and the responder finds
 * the child that the initiator means (docs/design.md, Who owns a port).
 */
export function buildChildren(entries: readonly ModelEntry[], pods: readonly CachePod[]): CacheChild[] {
  const owned = new Set<string>();
  const children = new Map<string, CacheChild>();
  for (const model of entries) {
    for (const proto of new Set(model.entry.ports.map((port) => port.proto))) {
      const targets = model.entry.ports.filter((port) => port.proto === proto).map(({ target }) => target);
      if (targets.some(isEveryPort)) {
        const name = wideChildName(proto);
        children.set(name, { name, proto, ports: [] });
      }
      const ports = [...new Set(numbersOf(model, proto, pods).map(({ port }) => port))]
        .filter((port) => !isEveryPort(port) && !owned.has(`${proto}/${port}`))
        .sort((a, b) => a - b);
      for (const port of ports) {
        owned.add(`${proto}/${port}`);
      }
      if (ports.length > 0) {
        const name = childName(proto, model.entry.name);
        children.set(name, { name, proto, ports });
      }
    }
  }
  return [...children.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

interface NumberedPort {
  readonly port: number;
  readonly phase: Phase;
}

/**
 * The protected port numbers of the whole cluster, sorted: unlisted endpoints may serve them. Protocols that
 * are protected as a whole have no port among them (docs/design.md, Unlisted and departed).
 */
export function unlistedPorts(
  entries: readonly ModelEntry[],
  pods: readonly CachePod[],
  children: Pick<NodeCacheContent, 'childSaScope' | 'children'>,
): ProtectedPort[] {
  const found = new Map<string, ProtectedPort>();
  for (const model of entries) {
    for (const proto of new Set(model.entry.ports.map((port) => port.proto))) {
      for (const { port, phase: own } of numbersOf(model, proto, pods).filter(
        (each) => !isEveryPort(each.port),
      )) {
        const key = `${proto}/${String(port).padStart(5, '0')}`;
        const earlier = found.get(key);
        const phase = earlier === undefined ? own : strongest([own, earlier.phase]);
        const child = earlier?.child ?? childFor(children, model.entry.name, proto, port);
        found.set(key, { proto, port, child, ...(phase === 'require' ? {} : { phase }) });
      }
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, port]) => port);
}

const remembered = new WeakMap<
  ModelEntry,
  { readonly pods: readonly CachePod[]; readonly numbers: Map<Protocol, readonly NumberedPort[]> }
>();

/**
 * The target ports of an entry, in numbers, as its service, its slices and its pods give them. A pod counts
 * before any slice lists it, because ADD needs its child.
 */
function numbersOf(model: ModelEntry, proto: Protocol, pods: readonly CachePod[]): readonly NumberedPort[] {
  const before = remembered.get(model);
  const { numbers } =
    before?.pods === pods ? before : { numbers: new Map<Protocol, readonly NumberedPort[]>() };
  const found = numbers.get(proto) ?? findNumbers(model, proto, pods);
  numbers.set(proto, found);
  remembered.set(model, { pods, numbers });
  return found;
}

function findNumbers(model: ModelEntry, proto: Protocol, pods: readonly CachePod[]): NumberedPort[] {
  const { entry, slices, portNames } = model;
  const named = portsOf(slices, proto).flatMap(({ name, port }) => {
    const phase = portNames.get(`${proto}/${name}`);
    return phase === undefined ? [] : [{ port, phase }];
  });
  const resolved = (name: string): number[] =>
    pods.filter((pod) => selects(entry, pod)).flatMap((pod) => resolvePorts(pod, proto, name));
  return [
    ...named,
    ...entry.ports
      .filter((port) => port.proto === proto)
      .flatMap(({ target, phase }) => {
        const numbers = typeof target === 'number' ? [target] : resolved(target);
        return numbers.map((port) => ({ port, phase: phase ?? 'require' }));
      }),
  ];
}
