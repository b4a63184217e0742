import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import type { Snapshot } from '../../../src/cluster/snapshot.ts';
import { directorySource } from '../../../src/cluster/sources/directory.ts';

const node = (name: string): string => `{apiVersion: v1, kind: Node, metadata: {name: ${name}}}\n`;
const names = ({ objects }: Snapshot): string => objects.nodes.map(({ metadata }) => metadata.name).join();

interface Watched {
  readonly folder: string;
  readonly write: (name: string, text: string) => void;
  /** The next snapshot that satisfies the condition. */
  readonly until: (condition: (snapshot: Snapshot) => boolean) => Promise<Snapshot>;
  /** All snapshots seen. */
  readonly seen: Snapshot[];
}

async function watched(
  t: ExecutionContext,
  files: Record<string, string>,
  now?: () => number,
): Promise<Watched> {
  const folder = mkdtempSync(`${tmpdir()}/trapline-source-`);
  const write = (name: string, text: string): void => writeFileSync(`${folder}/${name}`, text);
  for (const [name, text] of Object.entries(files)) {
    write(name, text);
  }
  const stop = new AbortController();
  const snapshots = directorySource(folder, now).watch(stop.signal)[Symbol.asyncIterator]();
  t.teardown(() => {
    stop.abort();
    rmSync(folder, { recursive: true, force: true });
  });
  const seen: Snapshot[] = [];
  const until: Watched['until'] = async (condition) => {
    for (;;) {
      const { value, done } = await snapshots.next();
      if (done === true) {
        throw new Error('the source ended');
      }
      seen.push(value);
      if (condition(value)) {
        return value;
      }
    }
  };
  return { folder, write, until, seen };
}

test('files are read, and followed as they come, change and go', async (t) => {
  const { folder, write, until } = await watched(t, {
    'a.yaml': node('a'),
    'b.yml': node('b'),
    'c.json': '{"kind":"Node","metadata":{"name":"c"}}',
    '.hidden.yaml': node('hidden'),
    'd.yaml.swp': node('swap'),
    'e.yaml~': node('backup'),
  });
  t.is(names(await until(() => true)), 'a,b,c');
  write('d.yaml', node('d'));
  t.is(names(await until((each) => names(each) !== 'a,b,c')), 'a,b,c,d');
  write('tmp', node('x'));
  renameSync(`${folder}/tmp`, `${folder}/a.yaml`);
  t.is(names(await until((each) => !names(each).includes('a'))), 'x,b,c,d');
  rmSync(`${folder}/b.yml`);
  t.is(names(await until((each) => !names(each).includes('b'))), 'x,c,d');
});

test('what does not change the content yields nothing', async (t) => {
  const { write, until, seen } = await watched(t, { 'a.yaml': node('a') });
  await until(() => true);
  const next = until((each) => names(each) === 'a,b');
  write('a.yaml', `# a comment\n${node('a')}`);
  write('notes.txt', 'x');
  await new Promise((resolve) => setTimeout(resolve, 300));
  write('b.yaml', node('b'));
  await next;
  t.is(seen.length, 2);
});

test('a half-written file leaves what it said before, and is reported', async (t) => {
  const { write, until } = await watched(t, { 'a.yaml': node('a') });
  await until(() => true);
  write('a.yaml', '{apiVersion: v1, kind: No');
  const broken = await until(({ problems }) => problems.length > 0);
  t.is(names(broken), 'a');
  t.is(broken.problems[0]?.where, 'a.yaml');
  write('a.yaml', node('b'));
  const mended = await until(({ problems }) => problems.length === 0);
  t.is(names(mended), 'b');
});

test('a file that cannot be read leaves what it said before', async (t) => {
  const { folder, until } = await watched(t, { 'a.yaml': node('a') });
  await until(() => true);
  rmSync(`${folder}/a.yaml`);
  mkdirSync(`${folder}/a.yaml`);
  const broken = await until(({ problems }) => problems.length > 0);
  t.is(names(broken), 'a');
  t.regex(broken.problems[0]?.message ?? '', /EISDIR.*stays in force/);
});

test('a mounted ConfigMap is followed through its ..data link', async (t) => {
  const { folder, until } = await watched(t, {});
  for (const version of ['..1', '..2']) {
    mkdirSync(`${folder}/${version}`);
    writeFileSync(`${folder}/${version}/n.yaml`, node(version === '..1' ? 'a' : 'b'));
  }
  symlinkSync('..1', `${folder}/..data`);
  symlinkSync('..data/n.yaml', `${folder}/n.yaml`);
  await until((each) => names(each) === 'a');
  symlinkSync('..2', `${folder}/..tmp`);
  renameSync(`${folder}/..tmp`, `${folder}/..data`);
  t.is(names(await until((each) => names(each) !== 'a')), 'b');
});

test('a folder that vanishes leaves what it said before, until it is back', async (t) => {
  const { folder, until } = await watched(t, { 'a.yaml': node('a') });
  await until(() => true);
  renameSync(folder, `${folder}.away`);
  t.teardown(() => rmSync(`${folder}.away`, { recursive: true, force: true }));
  const gone = await until(({ problems }) => problems.length > 0);
  t.is(names(gone), 'a');
  t.is(gone.problems[0]?.where, folder);
  t.regex(gone.problems[0]?.message ?? '', /ENOENT/);
  mkdirSync(folder);
  writeFileSync(`${folder}/b.yaml`, node('b'));
  t.is(names(await until(({ problems }) => problems.length === 0)), 'b');
});

test('without a folder at the start it throws', async (t) => {
  const source = directorySource('/nonexistent/manifests').watch(new AbortController().signal);
  await t.throwsAsync(async () => void (await source[Symbol.asyncIterator]().next()), {
    name: 'SourceError',
    message: /\/nonexistent\/manifests/,
  });
});

test('it ends when told to', async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/trapline-source-`);
  t.teardown(() => rmSync(folder, { recursive: true }));
  const stop = new AbortController();
  let count = 0;
  for await (const _ of directorySource(folder).watch(stop.signal)) {
    count += 1;
    stop.abort();
  }
  t.is(count, 1);
});

test('a folder that is suddenly empty is believed after a time, a single file at once', async (t) => {
  let time = 0;
  const { folder, until, write } = await watched(
    t,
    { 'a.yaml': node('a'), 'b.yaml': node('b'), 'c.yaml': node('c') },
    () => time,
  );
  await until(() => true);
  rmSync(`${folder}/c.yaml`);
  t.is(names(await until((each) => !names(each).includes('c'))), 'a,b');
  rmSync(`${folder}/a.yaml`);
  rmSync(`${folder}/b.yaml`);
  const doubted = await until(({ problems }) => problems.length > 0);
  t.is(names(doubted), 'a,b');
  t.is(doubted.problems[0]?.where, folder);
  t.regex(doubted.problems[0]?.message ?? '', /no manifest any more: .* stays in force for 10 minutes/);
  time += 10 * 60_000 - 1;
  write('notes.txt', 'x');
  await new Promise((resolve) => setTimeout(resolve, 200));
  time += 1;
  write('notes.txt', 'y');
  t.is(names(await until(({ problems }) => problems.length === 0)), '');
});

test('what a folder cannot tell at the start is told: objects that are refused, a file that nobody understands', async (t) => {
  const { until, write } = await watched(t, {
    'a.yaml': node('a').replace('}}', '}, status: {addresses: x}}'),
    'b.yaml': '{kind: Nod',
  });
  const first = await until(() => true);
  t.deepEqual([...(first.unread?.nodes ?? [])], ['a']);
  t.true(first.opaque);
  write('a.yaml', node('a'));
  write('b.yaml', node('b'));
  const mended = await until(({ problems }) => problems.length === 0);
  t.deepEqual([mended.unread?.nodes, mended.opaque], [undefined, undefined]);
  write('b.yaml', '{kind: Nod');
  const broken = await until(({ problems }) => problems.length > 0);
  t.is(broken.opaque, undefined, 'it is known what it was about');
});
