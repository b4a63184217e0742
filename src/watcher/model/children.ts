import type { CacheChild, CachePod } from '../../cache/schema.ts';
import { childName, wideChildName } from '../../ipsec/child.ts';
import type { Protocol } from '../../ipsec/types.ts';
import { type ModelEntry, numbersOf } from './entries.ts';

/**
 * The children of the cluster, sorted by name. A port that several entries name belongs to the one whose name sorts first, so the port
 * sets of two children with one protocol never overlap and the responder finds the child that the initiator means.
 */
export function buildChildren(entries: readonly ModelEntry[], pods: readonly CachePod[]): CacheChild[] {
  const owned = new Set<string>();
  const children = new Map<string, CacheChild>();
  for (const { entry, slices, portNames } of entries) {
    for (const { proto, target } of entry.ports) {
      if (target === 0) {
        const name = wideChildName(proto);
        children.set(name, { name, proto, ports: [] });
        continue;
      }
      const numbers =
        typeof target === 'number'
          ? [target]
          : [
              ...[...portNames]
                .filter((name) => name.startsWith(`${proto}/`))
                .flatMap((name) => numbersOf(slices, name)),
              ...namedPorts(pods, entry.namespace, proto, target),
            ];
      const name = childName(proto, entry.name);
      const mine = children.get(name)?.ports ?? [];
      const added = [...new Set(numbers)].filter((port) => !owned.has(`${proto}/${port}`));
      for (const port of added) {
        owned.add(`${proto}/${port}`);
      }
      if (mine.length + added.length > 0) {
        children.set(name, { name, proto, ports: [...mine, ...added].sort((a, b) => a - b) });
      }
    }
  }
  return [...children.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The pods of this node are known before any slice lists them: ADD needs the child of their ports. */
function namedPorts(pods: readonly CachePod[], namespace: string, proto: Protocol, name: string): number[] {
  return pods
    .filter((pod) => pod.namespace === namespace)
    .flatMap(({ ports }) => ports.filter((port) => port.proto === proto && port.name === name))
    .map(({ port }) => port);
}
