import fc from 'fast-check';
import { ModelError } from '../../src/agent/model/model.ts';
import type { ClusterObjects } from '../../src/cluster/snapshot.ts';
import { parseObject } from '../../src/cluster/sources/parse-object.ts';
import { canonicalAddress } from '../../src/ip/address.ts';
import { canonicalCidr, overlap } from '../../src/ip/cidr.ts';
import { rememberedAddress, rememberedCidr } from '../../src/ip/remembered.ts';
import { policyKey } from '../../src/ipsec/plan/ours.ts';
import type { XfrmPolicy } from '../../src/ipsec/plan/types.ts';
import type { AcceptedService } from '../../src/rundir/accepted.ts';
import { nodeCacheSchema } from '../../src/rundir/schema.ts';
import { NODES } from '../helpers/unit/worlds.ts';
import { type Made, make } from './plans.ts';
import { type TenantWorld, tenantWorlds } from './tenants.ts';

/** A world, one of its objects, a field of it, and what stands there instead. */
export interface Fault {
  readonly world: TenantWorld;
  readonly list: Faulty;
  readonly object: number;
  readonly field: number;
  /** The field itself, in place of its number. */
  readonly path?: Path;
  readonly value: Damage;
}

const LISTS = ['services', 'endpointSlices', 'nodes', 'pods', 'policies'] as const;
type Faulty = (typeof LISTS)[number];

/**
 * `set` puts a value there, `delete` takes the field away, `repeat` says the elements of a list `times` over.
 */
export type Damage =
  | { readonly kind: 'set'; readonly value: unknown }
  | { readonly kind: 'delete' }
  | { readonly kind: 'repeat'; readonly times: number };

const NUMBERS = [-1, 0, 0.5, 65_536, 70_000, 1e20, -1e308, 2 ** 31, 2 ** 53];
const TEXTS = [
  '',
  ' ',
  '*',
  '-1',
  '070',
  '1\n2',
  '10.0.0.0/08',
  'fd00::/064',
  '0.0.0.0/0',
  '::/0',
  '10.244.2.0/25',
  '10.244.0.0/15',
  '10.244.2.10%eth0',
  '010.244.2.10',
  '10.244.2.10/32',
  '::ffff:10.244.2.10',
  '224.0.0.1',
  '0.0.0.0',
  '169.254.1.1',
  '255.255.255.255',
  'fe80::1',
  '192.0.2.12,192.0.2.12',
  'a'.repeat(5_000),
  '__proto__',
  'constructor',
  'tcp/60-50',
  'tcp/70000',
  'tcp/1'.concat(',tcp/1'.repeat(400)),
];

export const damage: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...NUMBERS).map((value) => ({ kind: 'set' as const, value })) },
  { weight: 8, arbitrary: fc.constantFrom(...TEXTS).map((value) => ({ kind: 'set' as const, value })) },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom<unknown[]>(
        null,
        true,
        [],
        {},
        [null],
        [[]],
        { '': '' },
        JSON.parse('{"__proto__":{"a":"b"}}'),
      )
      .map((value) => ({ kind: 'set' as const, value })),
  },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 2 }).map((value) => ({ kind: 'set' as const, value })) },
  { weight: 2, arbitrary: fc.constant({ kind: 'delete' as const }) },
  { weight: 2, arbitrary: fc.constantFrom(2, 3, 50).map((times) => ({ kind: 'repeat' as const, times })) },
);

export const faults: fc.Arbitrary<Fault> = fc.record({
  world: tenantWorlds,
  list: fc.constantFrom(...LISTS),
  object: fc.nat({ max: 50 }),
  field: fc.nat({ max: 200 }),
  value: damage,
});

export type Path = readonly (string | number)[];

/** Every field below a value, those that the API server decides (name, namespace, uid) left out. */
function pathsOf(value: unknown, at: Path = []): Path[] {
  const own = at.join('.');
  if (['kind', 'apiVersion', 'metadata.name', 'metadata.namespace', 'metadata.uid'].includes(own)) {
    return [];
  }
  const below =
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, one]) =>
          pathsOf(one, [...at, Array.isArray(value) ? Number(key) : key]),
        )
      : [];
  return at.length === 0 || own === 'metadata' ? below : [at, ...below];
}

/** An own property, whatever its name. */
function put(target: object, key: string | number, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

function damaged(raw: object, path: Path, value: Damage): object {
  const copy = structuredClone(raw);
  const last = path.at(-1) ?? '';
  const parent = path.slice(0, -1).reduce<object>((at, key) => Reflect.get(at, key) as object, copy);
  const before: unknown = Reflect.get(parent, last);
  if (value.kind === 'delete') {
    Reflect.deleteProperty(parent, last);
  } else if (value.kind === 'repeat') {
    put(parent, last, Array.isArray(before) ? Array(value.times).fill(before).flat() : before);
  } else {
    put(parent, last, value.value);
  }
  return copy;
}

export interface Judged {
  /** What is wrong; undefined if the property holds. */
  readonly wrong: string | undefined;
  /** Whether the damage changed any plan, or was refused. */
  readonly felt: boolean;
}

/** Tries one fault on every node, on an agent that has known the sound object. */
export function judgeFault({ world, list, object: which, field, path: given, value }: Fault): Judged {
  const sound = world.before;
  const objects = sound[list];
  const original = objects[which % Math.max(1, objects.length)];
  if (original === undefined) {
    return { wrong: undefined, felt: false };
  }
  const paths = pathsOf(original);
  const path = given ?? paths[field % Math.max(1, paths.length)] ?? [];
  const raw = damaged(original, path, value);
  const { name } = original.metadata;
  const said = `${original.kind} ${name}: ${path.join('.')} = ${JSON.stringify(value).slice(0, 120)}`;
  // As a source does: what is refused keeps its former value, and counts as unread.
  const parsed = parseObject(raw, original);
  const refused = typeof parsed === 'string' ? [parsed] : parsed?.flaw === undefined ? [] : [parsed.flaw];
  const others = (objects as readonly object[]).filter((one) => one !== original);
  const withList = (all: readonly object[]): ClusterObjects => ({ ...sound, [list]: all }) as ClusterObjects;
  const broken = withList(
    typeof parsed === 'object'
      ? (objects as readonly object[]).map((one) => (one === original ? parsed.object : one))
      : objects,
  );
  const { namespace } = original.metadata as { namespace?: string };
  const unread =
    typeof parsed === 'object'
      ? {}
      : { [list]: new Set([namespace === undefined ? name : `${namespace}/${name}`]) };
  let felt = refused.length > 0;
  for (const nodeName of NODES) {
    const own = list === 'nodes' && name === nodeName;
    const reader = { ...world.options, nodeName, pods: world.pods };
    const was = make(sound, reader);
    const is = tried(() => make(broken, { ...reader, unread }, was), own);
    const without = tried(() => make(withList(others), reader, strangerTo(was, list, name)), own);
    if (typeof is === 'string') {
      return { wrong: is === '' ? undefined : `${said}: on ${nodeName}: ${is}`, felt: true };
    }
    const malformed = malformedIn(is);
    if (malformed !== '') {
      return { wrong: `${said}: on ${nodeName}: ${malformed}`, felt: true };
    }
    const lost = typeof without === 'string' ? '' : lostFrom(is, was, without, namespace ?? '');
    if (lost !== '') {
      return { wrong: `${said}: on ${nodeName} is lost: ${lost}`, felt: true };
    }
    const changed = textOf(is.policies) !== textOf(was.policies);
    felt ||= changed;
    const problems = [...refused, ...is.model.problems.map(({ where, message }) => `${where}: ${message}`)];
    if (changed && isBroken(original, path, value) && !problems.some((one) => one.includes(name))) {
      return { wrong: `${said}: on ${nodeName} changed the plan, and no problem names it`, felt };
    }
    const repeated = is.model.problems.filter(
      ({ where }) => where.includes('EndpointSlice') && where.endsWith(`/${name}`),
    );
    if (repeated.length > 2) {
      return { wrong: `${said}: on ${nodeName}: ${repeated.length} problems of one slice`, felt };
    }
  }
  return { wrong: undefined, felt };
}

/**
 * What a node has made, as if it had never known an object: one that goes leaves something behind for a
 * while.
 */
function strangerTo(made: Made, list: Faulty, name: string): Made {
  const { content } = made.model;
  const peers = content.peers.filter((peer) => peer.name !== name);
  switch (list) {
    case 'nodes':
      return { ...made, model: { ...made.model, content: { ...content, peers } } };
    case 'services':
      return withServices(made, ([key]) => !key.endsWith(`/${name}`));
    case 'endpointSlices':
      return withServices(made, () => true);
    default:
      return made;
  }
}

/** With those of the Services that it remembers, and without what their slices said of ports. */
function withServices(made: Made, isKnown: (entry: [string, AcceptedService]) => boolean): Made {
  const services = new Map(
    [...made.model.services]
      .filter(isKnown)
      .map(([key, service]): [string, AcceptedService] => [key, { ...service, slicePorts: [] }]),
  );
  return { ...made, model: { ...made.model, services } };
}

/** Empty text: a node cannot be decided for without its own Node, and says so. */
function tried(run: () => Made, own: boolean): Made | string {
  try {
    return run();
  } catch (error) {
    return own && error instanceof ModelError ? '' : `${(error as Error).name}: ${(error as Error).message}`;
  }
}

/** What kernel, charon or plugin would choke on. */
function malformedIn({ cache, policies, model }: Made): string {
  const schema = nodeCacheSchema.safeParse(cache);
  if (!schema.success) {
    const [issue] = schema.error.issues;
    return `the cache is not valid: ${issue?.path.join('.')}: ${issue?.message}`;
  }
  const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65_535;
  const bad = policies.find(
    ({ selector: { src, dst, sport, dport }, template }) =>
      !isPort(sport) ||
      !isPort(dport) ||
      [src, dst].some((cidr) => canonicalCidr(cidr) !== cidr || /\/0\d/.test(cidr)) ||
      [template.src, template.dst].some((address) => canonicalAddress(address) !== address),
  );
  if (bad !== undefined) {
    return `no policy for a kernel: ${JSON.stringify(bad)}`;
  }
  const long = model.problems.find(({ message }) => message.length > 2_000);
  return long === undefined ? '' : `a problem of ${long.message.length} characters`;
}

/** What was there with the object and without it, and is not there now: it does not come from the object. */
function lostFrom(is: Made, was: Made, without: Made, namespace: string): string {
  // An address that another namespace claims as well is its only where the object does not claim it.
  const { endpoints, localEndpoints } = without.model.content;
  const contested = new Set(
    [...endpoints, ...localEndpoints]
      .filter((one) => namespace !== '' && one.namespace !== namespace)
      .map(({ address }) => address),
  );
  const isContested = ({ selector: { src, dst } }: XfrmPolicy): boolean =>
    [src, dst].some((cidr) => contested.has(cidr.replace(/\/\d+$/, '')));
  const now = new Map(is.policies.map((policy) => [policyKey(policy), same(policy)]));
  const bare = new Map(without.policies.map((policy) => [policyKey(policy), same(policy)]));
  const policy = was.policies.find(
    (one) =>
      bare.get(policyKey(one)) === same(one) &&
      now.get(policyKey(one)) !== same(one) &&
      !isAbsorbed(one, is.policies) &&
      !isAsStrict(one, is.policies) &&
      !isContested(one),
  );
  if (policy !== undefined) {
    return `${policyKey(policy)}: ${same(policy)}, now ${now.get(policyKey(policy)) ?? 'nothing'}`;
  }
  const [childrenWas, childrenBare, childrenNow] = [was, without, is].map(childrenOf);
  const child = [...(childrenWas ?? [])].find(
    ([key, text]) => childrenBare?.get(key) === text && childrenNow?.get(key) !== text,
  );
  return child === undefined
    ? ''
    : `${child[0]}: ${child[1]}, now ${childrenNow?.get(child[0]) ?? 'nothing'}`;
}

/** Whether a policy for every protocol stands for one, with the same two ends and no less strict. */
function isAbsorbed({ dir, selector, template }: XfrmPolicy, policies: readonly XfrmPolicy[]): boolean {
  return policies.some(
    (wide) =>
      wide.dir === dir &&
      wide.selector.proto === 'any' &&
      contains(wide.selector.src, selector.src) &&
      contains(wide.selector.dst, selector.dst) &&
      wide.template.src === template.src &&
      wide.template.dst === template.dst &&
      (wide.template.level === 'required' || template.level === 'use'),
  );
}

const contains = (wide: string, narrow: string): boolean =>
  overlap(wide, narrow) && Number(wide.split('/')[1]) <= Number(narrow.split('/')[1]);

/**
 * Whether the same packets need ESP now, with the same two ends. The child may be another one: what an object
 * says with a value that may be meant, of a port that others protect as well, counts in the order of items.
 */
function isAsStrict(one: XfrmPolicy, policies: readonly XfrmPolicy[]): boolean {
  const now = policies.find((policy) => policyKey(policy) === policyKey(one));
  const { src, dst } = one.template;
  return (
    now?.template.level === 'required' &&
    now.priority <= one.priority &&
    now.template.src === src &&
    now.template.dst === dst
  );
}

const same = ({ priority, template }: XfrmPolicy): string => JSON.stringify([priority, template]);
const textOf = (policies: readonly XfrmPolicy[]): string =>
  JSON.stringify(policies.map((one) => [policyKey(one), same(one)]));

function childrenOf({ connections }: Made): ReadonlyMap<string, string> {
  return new Map(
    connections.flatMap(({ name, children }) =>
      children.map((child) => [`${name} ${child.name}`, JSON.stringify([child.localTs, child.remoteTs])]),
    ),
  );
}

/**
 * Whether nobody could mean it. Another word at the place of a word may be meant, and so may a field that is
 * left out.
 */
function isBroken(original: object, path: Path, value: Damage): boolean {
  const before = path.reduce<unknown>((at, key) => Reflect.get(at as object, key), original);
  if (value.kind !== 'set' || value.value === null) {
    return false;
  }
  if (typeof before === 'number') {
    const number = Number(value.value);
    return typeof value.value === 'number' && (!Number.isInteger(number) || number < 0 || number > 65_535);
  }
  const text = String(value.value);
  const place = path.join('.');
  return typeof before === 'string' && typeof value.value === 'string'
    ? /addresses|[cC]idr|podIP/.test(place) &&
        rememberedAddress(text) === undefined &&
        rememberedCidr(text) === undefined
    : typeof before !== typeof value.value;
}
