import type { ClusterObjects, ObjectProblem, Snapshot } from '../snapshot.ts';
import type { ParsedFile } from './parse-file.ts';
import { keyOf, type ParsedObject } from './parse-object.ts';

/** All files as one snapshot. If two files define an object, the file counts whose name sorts first. */
export function assemble(files: ReadonlyMap<string, ParsedFile>, more: readonly ObjectProblem[]): Snapshot {
  const problems: ObjectProblem[] = [...more];
  const seen = new Map<string, string>();
  const kept: ParsedObject[] = [];
  for (const [name, file] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    problems.push(...file.problems);
    for (const parsed of file.objects) {
      const key = keyOf(parsed.object);
      const first = seen.get(key);
      if (first === undefined) {
        seen.set(key, name);
        kept.push(parsed);
      } else {
        problems.push({ where: name, message: `${key} is defined in ${first} already` });
      }
    }
  }
  const unread = Map.groupBy(
    [...files.values()].flatMap((file) => file.unread),
    ({ list }) => list,
  );
  return {
    objects: select(kept),
    unread: Object.fromEntries(
      [...unread].map(([list, all]) => [list, new Set(all.map(({ name }) => name))]),
    ),
    ...([...files.values()].some(({ opaque }) => opaque) ? { opaque: true } : {}),
    problems,
    stale: '',
  };
}

function select(kept: readonly ParsedObject[]): ClusterObjects {
  return {
    services: kept.flatMap((parsed) => (parsed.list === 'services' ? [parsed.object] : [])),
    endpointSlices: kept.flatMap((parsed) => (parsed.list === 'endpointSlices' ? [parsed.object] : [])),
    nodes: kept.flatMap((parsed) => (parsed.list === 'nodes' ? [parsed.object] : [])),
    pods: kept.flatMap((parsed) => (parsed.list === 'pods' ? [parsed.object] : [])),
    policies: kept.flatMap((parsed) => (parsed.list === 'policies' ? [parsed.object] : [])),
    blockAffinities: kept.flatMap((parsed) => (parsed.list === 'blockAffinities' ? [parsed.object] : [])),
    ipsecNodes: kept.flatMap((parsed) => (parsed.list === 'ipsecNodes' ? [parsed.object] : [])),
    ciliumNodes: kept.flatMap((parsed) => (parsed.list === 'ciliumNodes' ? [parsed.object] : [])),
  };
}
