import test from 'ava';
import fc from 'fast-check';
import * as z from 'zod';
import { planAttachment } from '../../src/ipsec/plan/plan.ts';
import { attachmentSchema } from '../../src/rundir/attachment.ts';
import { compile } from '../../src/rundir/compile.ts';
import { heartbeatSchema } from '../../src/rundir/heartbeat.ts';
import { nodeCacheSchema } from '../../src/rundir/schema.ts';
import { corednsAttachment, seedCache } from '../helpers/unit/cache.ts';

const attachment = {
  schema: 1,
  containerId: 'c',
  ifName: 'eth0',
  netns: '/n',
  network: 'pods',
  createdAt: 1,
  ...corednsAttachment,
  policies: planAttachment(seedCache(), corednsAttachment),
};
const heartbeat = {
  at: 1,
  pid: 1,
  version: '0',
  charonError: '',
  sourceError: '',
  enforcedGeneration: 1,
  reconcileError: '',
  hairpinError: '',
  problems: ['x'],
};

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  const below = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [path, ...below.flatMap(([key, child]) => pathsOf(child, [...path, key]))];
}

/** The value with something else, or nothing, at a path: what JSON can hold, so no array has a hole. */
function changed(value: unknown, path: Path, to: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) {
    return to;
  }
  const entries = Object.entries(value as object).flatMap(([name, child]) => {
    const next = name === String(key) ? changed(child, rest, to) : child;
    return next === undefined ? [] : [[name, next] as const];
  });
  return Array.isArray(value) ? entries.map(([, child]) => child) : Object.fromEntries(entries);
}

const odd = fc.oneof(
  fc.constantFrom(
    undefined,
    null,
    '',
    'x',
    'tcp',
    0,
    -1,
    1.5,
    65_535,
    65_536,
    2 ** 32,
    2 ** 53,
    Number.NaN,
    true,
    [],
    {},
    [1],
    { a: 1 },
  ),
  fc.jsonValue(),
);

const agrees = test.macro<[schema: z.ZodType, value: unknown]>({
  exec: (t, schema, value) => {
    const check = compile(schema);
    t.true(check(value), 'a good value');
    const paths = pathsOf(value);
    const seen = { good: 0, bad: 0 };
    fc.assert(
      fc.property(fc.constantFrom(...paths), odd, (path, to) => {
        const given = changed(value, path, to);
        const expected = schema.safeParse(given).success;
        seen[expected ? 'good' : 'bad'] += 1;
        if (check(given) !== expected) {
          throw new Error(`zod says ${expected}: ${path.join('.')} = ${JSON.stringify(to)}`);
        }
      }),
      { numRuns: 5_000 },
    );
    t.true(seen.good > 100 && seen.bad > 100, JSON.stringify(seen));
  },
  title: (title) => `compiled as zod has it: ${title}`,
});

test('node cache', agrees, nodeCacheSchema, seedCache());
test(
  'node cache with endpoints',
  agrees,
  nodeCacheSchema,
  seedCache({
    localEndpoints: [{ address: '10.1.1.1', host: true, ports: [{ proto: 'any', port: 0, child: 'pods' }] }],
  }),
);
test('attachment record', agrees, attachmentSchema, attachment);
test('heartbeat', agrees, heartbeatSchema, heartbeat);
test(
  'what is not known is asked of zod',
  agrees,
  z.object({
    a: z.string().regex(/^x/),
    b: z.number().multipleOf(2),
    c: z.string().default(''),
    d: z.looseObject({ e: z.string() }),
  }),
  { a: 'xy', b: 4, c: '', d: { e: '', f: 1 } },
);
