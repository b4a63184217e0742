import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { insertPlugin, type PluginEntry, removePlugin } from '../../src/install/conflist.ts';
import { installConflist, installExecutable, uninstall } from '../../src/install/install.ts';
import { keepInstalled } from '../../src/install/keep.ts';
import { golden } from '../helpers/unit/root.ts';

const entry: PluginEntry = { type: 'trapline', runDir: '/run/trapline' };
const CONFLISTS = ['bridge', 'flannel', 'calico', 'kindnet', 'cilium-chained', 'aws-vpc'];
const original = (name: string): string => readFileSync(golden(`install/conflists/${name}.conflist`), 'utf8');

for (const name of CONFLISTS) {
  test(`golden: ${name}`, (t) => {
    const text = original(name);
    const inserted = insertPlugin(text, entry);
    t.is(inserted.kind, 'changed');
    const changed = inserted.kind === 'changed' ? inserted.text : '';
    const path = golden(`install/golden/${name}.conflist`);
    if (process.env.UPDATE_GOLDENS === '1') {
      writeFileSync(path, changed);
    }
    t.is(changed, readFileSync(path, 'utf8'));
    t.deepEqual(insertPlugin(changed, entry), { kind: 'unchanged' });

    const before = JSON.parse(text) as { plugins: unknown[] };
    t.deepEqual(JSON.parse(changed), { ...before, plugins: [...before.plugins, entry] });
    t.deepEqual(Object.keys(JSON.parse(changed)), Object.keys(before), 'the order of keys');
    const removed = removePlugin(changed);
    t.deepEqual(removed.kind === 'changed' ? JSON.parse(removed.text) : undefined, before);
  });
}

test('an entry with other settings is replaced, one too many goes', (t) => {
  const text = JSON.stringify({
    name: 'n',
    plugins: [{ type: 'trapline', runDir: '/old' }, { type: 'ptp' }, entry],
  });
  const edited = insertPlugin(text, entry);
  t.deepEqual(edited.kind === 'changed' ? JSON.parse(edited.text).plugins : undefined, [
    { type: 'ptp' },
    entry,
  ]);
});

const refuses = test.macro({
  exec: (t, text: string, says: RegExp) => {
    const edited = insertPlugin(text, entry);
    t.is(edited.kind, 'refused');
    t.regex(edited.kind === 'refused' ? edited.reason : '', says);
  },
  title: (title) => `refused: ${title}`,
});

test('half a file', refuses, '{"plugins": [', /^not JSON/);
test('no plugins', refuses, '{"name": "n"}', /no list of plugins/);
test('an empty chain', refuses, '{"plugins": []}', /no list of plugins/);
test('a plugin without a type', refuses, '{"plugins": [{}]}', /no list of plugins/);
test('too old', refuses, '{"cniVersion": "0.2.0", "plugins": [{"type": "x"}]}', /cniVersion 0\.2\.0/);

interface Node {
  readonly binDir: string;
  readonly confDir: string;
  readonly executable: string;
  readonly entry: PluginEntry;
}

function node(t: ExecutionContext, files: Readonly<Record<string, string>> = {}): Node {
  const base = mkdtempSync(join(tmpdir(), 'trapline-install-'));
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const [binDir, confDir, executable] = [join(base, 'bin'), join(base, 'net.d'), join(base, 'trapline')];
  writeFileSync(executable, 'version 1');
  mkdirSync(confDir);
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(confDir, name), text);
  }
  return { binDir, confDir, executable, entry };
}

const read = (folder: string, name: string): string => readFileSync(join(folder, name), 'utf8');
const isChained = (text: string): boolean => text.includes('"trapline"');

test('only the first conflist by name is used, mode and other files stay', (t) => {
  const files = {
    '20-b.conflist': original('flannel'),
    '10-a.conflist': original('calico'),
    'calico-kubeconfig': 'k',
  };
  const target = node(t, files);
  chmodSync(join(target.confDir, '10-a.conflist'), 0o640);
  t.like(installConflist(target), {
    kind: 'installed',
    conflist: join(target.confDir, '10-a.conflist'),
    changed: true,
  });
  t.like(installConflist(target), { kind: 'installed', changed: false });
  t.true(isChained(read(target.confDir, '10-a.conflist')));
  t.is(read(target.confDir, '20-b.conflist'), files['20-b.conflist']);
  t.is(statSync(join(target.confDir, '10-a.conflist')).mode & 0o777, 0o640);
  t.deepEqual(readdirSync(target.confDir).sort(), ['10-a.conflist', '20-b.conflist', 'calico-kubeconfig']);

  writeFileSync(join(target.confDir, '05-new.conflist'), original('bridge'));
  installConflist(target);
  t.true(isChained(read(target.confDir, '05-new.conflist')));
  t.false(isChained(read(target.confDir, '10-a.conflist')), 'it is taken out where it is not used any more');
});

test('nothing to chain to is waited for, and a single plugin is left alone', (t) => {
  const target = node(t);
  t.regex(JSON.stringify(installConflist(target)), /no network configuration yet/);
  writeFileSync(join(target.confDir, '10-x.conf'), '{"type":"bridge"}');
  t.regex(JSON.stringify(installConflist(target)), /single plugin/);
  t.is(read(target.confDir, '10-x.conf'), '{"type":"bridge"}');
});

test('the executable is replaced by rename, an equal one is left', (t) => {
  const target = node(t);
  installExecutable(target);
  const first = statSync(join(target.binDir, 'trapline'));
  t.is(first.mode & 0o777, 0o755);
  installExecutable(target);
  t.is(statSync(join(target.binDir, 'trapline')).ino, first.ino);
  writeFileSync(target.executable, 'version 2');
  installExecutable(target);
  t.is(read(target.binDir, 'trapline'), 'version 2');
  t.not(statSync(join(target.binDir, 'trapline')).ino, first.ino, 'one that runs keeps its own');
  t.deepEqual(readdirSync(target.binDir), ['trapline', 'trapline-ipam']);
});

test('an executable that is not there is an error that names it, with nothing done', (t) => {
  const target = { ...node(t), executable: '/nowhere/trapline' };
  t.throws(() => installExecutable(target), {
    message: '/nowhere/trapline: there is no such executable to install (--executable)',
  });
  t.false(existsSync(target.binDir));
});

test('the executable stays where a chain has its addresses from it', (t) => {
  const target = node(t, {
    '10-pods.conflist': original('bridge').replace('host-local', 'trapline-ipam'),
  });
  installExecutable(target);
  installConflist(target);
  t.is(uninstall(target).length, 1);
  t.deepEqual(readdirSync(target.binDir), ['trapline', 'trapline-ipam']);
});

test('uninstall takes out exactly what was put in', (t) => {
  const target = node(t, { '10-calico.conflist': original('calico') });
  mkdirSync(target.binDir);
  writeFileSync(join(target.binDir, 'bridge'), 'other');
  installExecutable(target);
  installConflist(target);
  writeFileSync(join(target.confDir, '.trapline-0123456789ab'), 'left by a crash');
  t.is(uninstall(target).length, 3);
  t.deepEqual(JSON.parse(read(target.confDir, '10-calico.conflist')), JSON.parse(original('calico')));
  t.deepEqual(readdirSync(target.binDir), ['bridge']);
  t.deepEqual(readdirSync(target.confDir), ['10-calico.conflist']);
  t.deepEqual(uninstall(target), []);
});

test('kept: waits for a conflist, and inserts again when it is written anew', async (t) => {
  const target = node(t);
  const abort = new AbortController();
  const kept = keepInstalled(target, pino({ level: 'silent' }), abort.signal);
  const until = async (holds: () => boolean): Promise<void> => {
    const deadline = Date.now() + 9_000;
    while (!holds() && Date.now() < deadline) {
      await sleep(20);
    }
    t.true(holds());
  };
  const path = join(target.confDir, '10-flannel.conflist');
  for (const _ of [1, 2]) {
    writeFileSync(`${path}.tmp`, original('flannel'));
    renameSync(`${path}.tmp`, path);
    await until(() => existsSync(path) && isChained(readFileSync(path, 'utf8')));
  }
  t.true(existsSync(join(target.binDir, 'trapline')));
  abort.abort();
  await kept;
});
