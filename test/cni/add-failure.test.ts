import { existsSync, readdirSync } from 'node:fs';
import test from 'ava';
import { RunError } from '../../src/exec/types.ts';
import { readAttachments } from '../../src/rundir/attachments.ts';
import { withLock } from '../../src/rundir/lock/lock.ts';
import { attachmentPath, attachmentsDir } from '../../src/rundir/paths.ts';
import { writeNodeCache } from '../../src/rundir/write.ts';
import { seedCache } from '../helpers/unit/cache.ts';
import { CONTAINER, createNode, errorOf } from '../helpers/unit/plugin.ts';

test('a batch that the kernel refuses half-way: all undone, code 100', async (t) => {
  const node = createNode(t);
  node.kernel.failAt = { line: 2, said: 'Cannot allocate memory' };
  const error = errorOf(t, await node.call('ADD'));
  t.is(error.code, 100);
  t.regex(error.msg, /Cannot allocate memory/);
  t.is(node.kernel.table.size, 0);
  t.deepEqual(readdirSync(attachmentsDir(node.runDir)), []);
});

test('ip runs out of time: what it may have laid is taken out', async (t) => {
  const node = createNode(t);
  const { run } = node.kernel;
  let first = true;
  const slow: typeof run = async (command) => {
    const result = await run(command);
    if (first) {
      first = false;
      throw new RunError('timeout', 'ip: not done');
    }
    return result;
  };
  Object.assign(node.kernel, { run: slow });
  const outcome = await node.call('ADD');
  t.is(errorOf(t, outcome).code, 100);
  t.is(node.kernel.table.size, 0);
  t.deepEqual(readdirSync(attachmentsDir(node.runDir)), []);
});

test("a place taken by another's policy: code 101, it stays, nothing of ours does", async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  const [key = ''] = [...node.kernel.table.keys()];
  await node.call('DEL');
  const foreign = 'priority 379519 tmpl src 1.1.1.1 dst 2.2.2.2 proto esp reqid 7 mode tunnel level required';
  node.kernel.table.set(key, foreign);
  const error = errorOf(t, await node.call('ADD'));
  t.is(error.code, 101);
  t.regex(error.msg, /not ours \(priority 379519, reqid 7\)/);
  t.deepEqual([...node.kernel.table], [[key, foreign]]);
  t.deepEqual(readdirSync(attachmentsDir(node.runDir)), []);
});

test('a repeated ADD that fails leaves policies and record of the first', async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  const before = [...node.kernel.table];
  writeNodeCache(node.runDir, { ...seedCache(), peers: [] });
  await node.call('ADD');
  t.is(node.kernel.table.size, 0, 'no peers, nothing to protect');
  writeNodeCache(node.runDir, seedCache());
  await node.call('ADD');
  const extra = seedCache().peers.map((peer) => ({ ...peer, podCidrs: [...peer.podCidrs, '10.99.0.0/24'] }));
  writeNodeCache(node.runDir, { ...seedCache(), peers: extra });
  node.kernel.failAt = { line: 0, said: 'Cannot allocate memory' };
  t.is(errorOf(t, await node.call('ADD')).code, 100);
  t.deepEqual([...node.kernel.table].sort(), before.sort());
  t.is(readAttachments(node.runDir).records[0]?.policies.length, before.length);
});

test('a record that cannot be written: an error, nothing laid', async (t) => {
  const node = createNode(t);
  const error = errorOf(t, await node.call('ADD', { env: { CNI_CONTAINERID: 'c'.repeat(300) } }));
  t.is(error.code, 5);
  t.regex(error.msg, /ENAMETOOLONG/);
  t.deepEqual(node.kernel.commands, []);
});

test('a CNI_NETNS of the node itself is refused, unless CNI_NETNS_OVERRIDE says so', async (t) => {
  const node = createNode(t);
  const env = { CNI_NETNS: '/proc/self/ns/net' };
  const error = errorOf(t, await node.call('ADD', { env }));
  t.is(error.code, 8);
  t.regex(error.msg, /CNI_NETNS: "\/proc\/self\/ns\/net"/);
  t.deepEqual(node.kernel.commands, []);
  t.is((await node.call('ADD', { env: { ...env, CNI_NETNS_OVERRIDE: 'True' } })).exitCode, 0);
});

test('the lock is held by a live process: code 11 after lockWaitMs', async (t) => {
  const node = createNode(t);
  const options = { timeoutMs: 0, uptime: Date.now, sleep: async () => {} };
  await withLock(node.runDir, options, async () => {
    const error = errorOf(t, await node.call('ADD', { config: { lockWaitMs: 100 } }));
    t.is(error.code, 11);
    t.regex(error.msg, /lock: still held by .* after 100 ms/);
  });
  t.is((await node.call('ADD')).exitCode, 0);
  t.false(existsSync(`${node.runDir}/lock`));
  t.true(existsSync(attachmentPath(node.runDir, CONTAINER, 'eth0')));
});
