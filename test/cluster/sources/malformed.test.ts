import test from 'ava';
import fc from 'fast-check';
import type { ClusterObjects } from '../../../src/cluster/snapshot.ts';
import { parseObject } from '../../../src/cluster/sources/parse-object.ts';
import { build } from '../../helpers/unit/model.ts';
import { worlds } from '../../helpers/unit/worlds.ts';

const LISTS = ['services', 'endpointSlices', 'pods', 'policies', 'nodes'] as const;
type ListName = (typeof LISTS)[number];

/** What a field may be replaced with: any JSON, and what is near to something that counts. */
const anything = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown[]>(70_000, -1, 0, 1e308, 1.5, null, '', '__proto__', 'constructor', '10.0.0.0/08'),
  fc.constantFrom<unknown[]>('fd00::/064', '::ffff:10.1.2.1', 'fe80::1%eth0', '*', 'a\nb', 'x'.repeat(300)),
  fc.constantFrom<unknown[]>([], {}, [null], { '': '' }, 2 ** 53, Number.MAX_SAFE_INTEGER, '010.1.2.3'),
);

/** The places in a value, by path. */
function pathsOf(value: unknown, at: readonly string[] = []): (readonly string[])[] {
  const inside = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [...(at.length === 0 ? [] : [at]), ...inside.flatMap(([key, each]) => pathsOf(each, [...at, key]))];
}

function withReplaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) {
    return by;
  }
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = withReplaced(copy[key], rest, by);
  return copy;
}

interface Broken {
  readonly objects: ClusterObjects;
  readonly list: ListName;
  readonly index: number;
  readonly raw: unknown;
}

const broken: fc.Arbitrary<Broken> = worlds({ pods: 1, services: 1, items: 1 }).chain(({ objects }) =>
  fc
    .constantFrom(...LISTS.filter((list) => objects[list].length > 0))
    .chain((list) => fc.tuple(fc.constant(list), fc.nat(objects[list].length - 1)))
    .chain(([list, index]) => {
      const { kind, ...object } = objects[list][index] as { kind: string };
      return fc.tuple(fc.constantFrom(...pathsOf(object)), anything).map(([path, by]) => ({
        objects,
        list,
        index,
        raw: { kind, ...(withReplaced(object, path, by) as object) },
      }));
    }),
);

/** As a source keeps them: what is refused keeps its former value. */
function withBroken({ objects, list, index, raw }: Broken): ClusterObjects {
  const changed = objects[list].map((object, at) => {
    const parsed = at === index ? parseObject(raw, object) : undefined;
    return typeof parsed === 'object' ? parsed.object : object;
  });
  return { ...objects, [list]: changed };
}

test('one field of one object, whatever it is, throws neither at the door nor in the model', (t) => {
  fc.assert(
    fc.property(broken, (one) => {
      const first = parseObject(one.raw);
      const again = withBroken(one);
      // Only this node itself can be too malformed for a model: what is in force stays in force then.
      const own = one.list === 'nodes' && one.index === 0;
      try {
        JSON.stringify(build(again).content);
      } catch (error) {
        return own && (error as Error).name === 'ModelError';
      }
      return first === undefined || typeof first === 'string' || first.list === one.list;
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

test('what a reading gives is read again as the same, without a flaw', (t) => {
  fc.assert(
    fc.property(broken, ({ raw }) => {
      const parsed = parseObject(raw);
      if (typeof parsed !== 'object') {
        return true;
      }
      const again = parseObject(parsed.object);
      return (
        typeof again === 'object' &&
        again.flaw === undefined &&
        JSON.stringify(again.object) === JSON.stringify(parsed.object)
      );
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});
