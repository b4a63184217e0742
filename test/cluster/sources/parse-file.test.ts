import test from 'ava';
import { BOUNDS } from '../../../src/cluster/bounds.ts';
import { assemble } from '../../../src/cluster/sources/assemble.ts';
import { type ParsedFile, parseFile } from '../../../src/cluster/sources/parse-file.ts';

const node = (name: string, more = ''): string =>
  `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\n${more}`;
const parse = (text: string, before?: ParsedFile): ParsedFile => parseFile('f.yaml', 's', text, before);
const names = ({ objects }: ParsedFile): string[] =>
  objects.map(({ object }) => `${object.kind} ${object.metadata.name}`);

const reads = test.macro<[text: string, expected: readonly string[]]>((t, text, expected) => {
  const parsed = parse(text);
  t.deepEqual(parsed.problems, []);
  t.deepEqual(names(parsed), expected);
});
test('several documents', reads, `---\n${node('a')}---\n---\n# nothing\n---\n${node('b')}`, [
  'Node a',
  'Node b',
]);
test('nothing', reads, '', []);
test('JSON', reads, '{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}', ['Node a']);
test('List', reads, `{kind: List, apiVersion: v1, items: [{kind: Node, metadata: {name: a}}]}`, ['Node a']);
test(
  'List in a List',
  reads,
  `{kind: List, items: [{kind: List, items: [{kind: Node, metadata: {name: a}}]}]}`,
  ['Node a'],
);
test(
  'NodeList, whose items name no kind',
  reads,
  `{kind: NodeList, apiVersion: v1, items: [{metadata: {name: a}}]}`,
  ['Node a'],
);
test('empty List', reads, '{kind: List, items: null}', []);
test('other kinds', reads, `{kind: ConfigMap, metadata: {name: a}}`, []);
test(
  "another group's kind of the same name",
  reads,
  `{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}, spec: {template: {}}}`,
  [],
);

const refuses = test.macro<[text: string, message: string | RegExp, where?: string]>(
  (t, text, message, where) => {
    const { problems, objects } = parse(`${node('a')}---\n${text}`);
    t.is(problems.length, 1);
    t.is(problems[0]?.where, where ?? 'f.yaml document 2');
    t.regex(problems[0]?.message ?? '', typeof message === 'string' ? new RegExp(message) : message);
    t.false(problems[0]?.message.includes('\n'));
    t.is(objects.length, where === undefined ? 1 : 0, 'the other documents count');
  },
);
test(
  'a wrong type names field and value',
  refuses,
  'kind: Node\nmetadata: {name: 7}',
  /^Node 7: metadata\.name: .*expected string.*, got 7$/,
);
test('a missing field', refuses, 'kind: Service\nmetadata: {name: s}', /^Service s: spec: .*, got nothing$/);
test(
  'a deep field',
  refuses,
  'kind: Service\nmetadata: {name: s}\nspec: {selector: {app: 5}}',
  /^Service s: spec\.selector\.app: .*expected string.*, got 5$/,
);
test(
  'policies that are no list',
  refuses,
  'apiVersion: starlingx.io/v1\nkind: IPsecPolicy\nmetadata: {name: p}\nspec: {policies: kube-dns}',
  /^IPsecPolicy p: spec\.policies: .*, got "kube-dns"$/,
);
test(
  'an unknown version',
  refuses,
  'apiVersion: starlingx.io/v9\nkind: IPsecPolicy\nmetadata: {name: p}',
  /^IPsecPolicy p: apiVersion: .*, got "starlingx.io\/v9"$/,
);
test('a name that is missing', refuses, 'kind: Node\nmetadata:', /^Node .*: metadata: .*, got null$/);
test('no kind', refuses, 'metadata: {name: s}', 'it has no kind');
test('a scalar', refuses, 'hello', 'it has no kind');
test('broken YAML', refuses, 'kind: [', /^line \d+: .*stays in force$/, 'f.yaml');

test('broken YAML leaves what the file said before', (t) => {
  const before = parse(node('a'));
  const broken = parse(`${node('b')}spec: {podCIDR: "10.`, before);
  t.deepEqual(names(broken), ['Node a']);
  t.is(broken.problems.length, 1);
  t.deepEqual(names(parse(node('b'), broken)), ['Node b']);
});

test('an object that is refused keeps its former value, others change', (t) => {
  const before = parse(`${node('a', 'spec: {podCIDR: 10.1.1.0/24}\n')}---\n${node('b')}`);
  const after = parse(`${node('a', 'spec: {podCIDR: 5}\n')}---\n${node('c')}`, before);
  t.deepEqual(names(after), ['Node a', 'Node c']);
  t.deepEqual(after.objects[0], before.objects[0]);
  t.is(after.problems.length, 1);
});

test('of an object in two files the first file by name counts', (t) => {
  const file = (text: string): ParsedFile => parse(text);
  const service = (namespace: string, port: number): string =>
    `{kind: Service, metadata: {name: s${namespace}}, spec: {ports: [{port: ${port}}]}}`;
  const { objects, problems } = assemble(
    new Map([
      ['b.yaml', file(service(', namespace: default', 2))],
      ['a.yaml', file(service('', 1))],
    ]),
    [],
  );
  t.deepEqual(
    objects.services.map(({ spec }) => spec.ports?.[0]?.port),
    [1],
  );
  t.deepEqual(problems, [{ where: 'b.yaml', message: 'Service default/s is defined in a.yaml already' }]);
});

test('a file that a shell has just emptied leaves what it said before', (t) => {
  const emptied = parse('\n', parse(node('a')));
  t.deepEqual(names(emptied), ['Node a']);
  t.deepEqual(
    emptied.problems.map(({ message }) => message),
    ['is empty; what it said before stays in force until the file is deleted'],
  );
  t.deepEqual(names(parse('# nothing any more', emptied)), []);
  t.deepEqual(parse('', parse('')).problems, []);
});

test('an object of which something is left out is not read as a whole', (t) => {
  const items = Array.from({ length: BOUNDS.itemsPerPolicy + 1 }, (_, index) => ({
    name: `i${index}`,
    servicename: 'web',
    servicens: 'ns',
    serviceports: 'tcp/80',
  }));
  const text = JSON.stringify({
    apiVersion: 'starlingx.io/v1',
    kind: 'IPsecPolicy',
    metadata: { name: 'p' },
    spec: { policies: items },
  });
  const parsed = parse(text);
  t.deepEqual(names(parsed), ['IPsecPolicy p']);
  t.deepEqual(parsed.unread, [{ list: 'policies', name: 'p' }]);
});
