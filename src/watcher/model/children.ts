import type { CacheChild, CachePod } from '../../cache/schema.ts';
import { childName, wideChildName } from '../../ipsec/child.ts';
import { resolvePorts, selects } from '../../ipsec/served.ts';
import type { Protocol } from '../../ipsec/types.ts';
import { type ModelEntry, portsOf } from './entries.ts';

/**
 * The children of the cluster, sorted by name. A port that several entries name belongs to the one whose name sorts first, so the port
 * sets of two children with one protocol never overlap and the responder finds the child that the initiator means.
 */
export function buildChildren(entries: readonly ModelEntry[], pods: readonly CachePod[]): CacheChild[] {
  const owned = new Set<string>();
  const children = new Map<string, CacheChild>();
  for (const model of entries) {
    for (const proto of new Set(model.entry.ports.map((port) => port.proto))) {
      const targets = model.entry.ports.filter((port) => port.proto === proto).map(({ target }) => target);
      if (targets.includes(0)) {
        const name = wideChildName(proto);
        children.set(name, { name, proto, ports: [] });
      }
      const ports = [...new Set(numbersOf(model, proto, pods))]
        .filter((port) => port !== 0 && !owned.has(`${proto}/${port}`))
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

/** Target ports as the service, its slices and its pods give them. Pods count before any slice lists them: ADD needs their child. */
function numbersOf(model: ModelEntry, proto: Protocol, pods: readonly CachePod[]): number[] {
  const { entry, slices, portNames } = model;
  const named = portsOf(slices, proto).filter(({ name }) => portNames.has(`${proto}/${name}`));
  const selected = pods.filter((pod) => selects(entry, pod));
  return [
    ...named.map(({ port }) => port),
    ...entry.ports
      .filter((port) => port.proto === proto)
      .flatMap(({ target }) =>
        typeof target === 'number' ? [target] : selected.flatMap((pod) => resolvePorts(pod, proto, target)),
      ),
  ];
}
