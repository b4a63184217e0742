import fs, {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Attachment } from '../../src/rundir/attachment.ts';
import {
  deleteAttachment,
  readAttachment,
  readAttachments,
  readHolders,
  writeAttachment,
} from '../../src/rundir/attachments.ts';
import { attachmentsDir, cachePath } from '../../src/rundir/paths.ts';
import { readNodeCache } from '../../src/rundir/read.ts';
import { writeFileAtomic, writeNodeCache } from '../../src/rundir/write.ts';
import { seedCache } from '../helpers/unit/cache.ts';

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'trapline-cache-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function record(containerId: string, addresses: string[] = ['10.1.0.3']): Attachment {
  return {
    schema: 1,
    containerId,
    ifName: 'eth0',
    netns: '/n',
    network: 'pods',
    pod: { namespace: 'a', name: 'b', uid: '' },
    addresses,
    createdAt: 1,
    policies: [],
  };
}

const permissions = (path: string) => (statSync(path).mode & 0o777).toString(8);

test('the node cache comes back as it was written, for root alone', (t) => {
  const runDir = join(folder(t), 'a/b');
  writeNodeCache(runDir, seedCache());
  t.deepEqual(readNodeCache(runDir), { kind: 'ok', value: seedCache() });
  t.is(permissions(cachePath(runDir)), '600');
  t.is(permissions(runDir), '700');
  t.deepEqual(readdirSync(runDir), ['node.json']);
});

test('a file is replaced, not rewritten: who reads the old one reads it to its end', (t) => {
  const path = join(folder(t), 'x');
  writeFileAtomic(path, 'old');
  const fd = fs.openSync(path, 'r');
  writeFileAtomic(path, 'new');
  t.is(readFileSync(fd, 'utf8'), 'old');
  fs.closeSync(fd);
  t.is(readFileSync(path, 'utf8'), 'new');
});

for (const call of ['fsyncSync', 'writeSync', 'renameSync'] as const) {
  test.serial(`a write that fails (${call}) leaves the old content and no temporary file`, (t) => {
    const runDir = folder(t);
    const path = join(runDir, 'x');
    writeFileAtomic(path, 'old');
    const original = fs[call];
    Object.assign(fs, {
      [call]: () => {
        throw new Error('ENOSPC');
      },
    });
    syncBuiltinESMExports();
    try {
      t.throws(() => writeFileAtomic(path, 'new'), { message: 'ENOSPC' });
    } finally {
      Object.assign(fs, { [call]: original });
      syncBuiltinESMExports();
    }
    t.deepEqual(readdirSync(runDir), ['x']);
    t.is(readFileSync(path, 'utf8'), 'old');
  });
}

test.serial('a file that is written in small pieces is written whole', (t) => {
  const path = join(folder(t), 'x');
  const original = fs.writeSync;
  const few = (fd: number, what: string | Buffer): number => original(fd, Buffer.from(what).subarray(0, 3));
  Object.assign(fs, { writeSync: few });
  syncBuiltinESMExports();
  try {
    writeFileAtomic(path, ['ä€', '', 'and more']);
  } finally {
    Object.assign(fs, { writeSync: original });
    syncBuiltinESMExports();
  }
  t.is(readFileSync(path, 'utf8'), 'ä€and more');
});

const bad: readonly [string, string, RegExp][] = [
  ['empty', '', /node\.json: not JSON/],
  ['cut off', JSON.stringify(seedCache()).slice(0, 200), /node\.json: not JSON/],
  ['of another schema', JSON.stringify({ ...seedCache(), schema: 2 }), /node\.json: schema: /],
  ['with a bad field', JSON.stringify({ ...seedCache(), peers: [{ name: 'x' }] }), /peers\.0\.addresses: /],
];
for (const [title, text, says] of bad) {
  test(`a cache that is ${title} is invalid`, (t) => {
    const runDir = folder(t);
    writeFileSync(cachePath(runDir), text);
    const read = readNodeCache(runDir);
    t.is(read.kind, 'invalid');
    t.regex(read.kind === 'ok' ? '' : read.message, says);
  });
}

test('a cache that is not there, and one that cannot be read', (t) => {
  const runDir = folder(t);
  t.is(readNodeCache(runDir).kind, 'missing');
  mkdirSync(cachePath(runDir));
  t.is(readNodeCache(runDir).kind, 'unreadable');
});

test('attachment records: write, read one and all, delete', (t) => {
  const runDir = folder(t);
  t.deepEqual(readAttachments(runDir), { records: [], problems: [] });
  t.is(readAttachment(runDir, 'a', 'eth0').kind, 'missing');
  deleteAttachment(runDir, record('a'));
  writeAttachment(runDir, record('b'));
  writeAttachment(runDir, record('a'));
  t.deepEqual(readAttachment(runDir, 'a', 'eth0'), { kind: 'ok', value: record('a') });
  t.deepEqual(readAttachments(runDir).records, [record('a'), record('b')]);
  deleteAttachment(runDir, record('a'));
  t.deepEqual(readAttachments(runDir).records, [record('b')]);
});

test('a broken record is reported by name and does not stop the others; temporary files are no records', (t) => {
  const runDir = folder(t);
  writeAttachment(runDir, record('a'));
  writeFileSync(`${attachmentsDir(runDir)}/0-eth0.json`, '{');
  writeFileSync(`${attachmentsDir(runDir)}/b-eth0.json.0123456789ab.tmp`, '{');
  const { records, problems } = readAttachments(runDir);
  t.deepEqual(records, [record('a')]);
  t.is(problems.length, 1);
  t.regex(problems[0] ?? '', /0-eth0\.json: not JSON/);
});

test('the holders of an address: the same attachment, and others with one of the addresses', (t) => {
  const runDir = folder(t);
  const all = [
    record('same', ['10.9.9.9']),
    record('other', ['10.1.0.4', 'fd00::3']),
    record('longer', ['10.1.0.33']),
    { ...record('netns', ['10.1.0.5']), netns: '10.1.0.3' },
  ];
  for (const one of all) {
    writeAttachment(runDir, one);
  }
  const ids = (addresses: string[]) =>
    readHolders(runDir, record('same', addresses)).map((one) => one.containerId);
  t.deepEqual(ids(['10.1.0.3']), ['same']);
  t.deepEqual(ids(['10.1.0.3', 'fd00::3']), ['other', 'same']);
  t.deepEqual(readHolders(runDir, record('new', ['10.1.0.3'])), []);
});
