import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { attachmentPath, attachmentsDir, cachePath } from '../../src/rundir/paths.ts';
import { CONTAINER, createNode, errorOf, type FakeNode } from '../helpers/unit/plugin.ts';

const attachments = ({ runDir }: FakeNode) => readdirSync(attachmentsDir(runDir));

const gentle = [
  { title: 'as ADD came', env: {}, config: {} },
  { title: 'without CNI_NETNS', env: { CNI_NETNS: undefined }, config: {} },
  { title: 'the namespace is gone', env: { CNI_NETNS: '/run/netns/gone' }, config: {} },
  { title: 'without prevResult', env: {}, config: { prevResult: undefined } },
  { title: 'prevResult null', env: {}, config: { prevResult: null } },
  { title: 'without CNI_ARGS', env: { CNI_ARGS: undefined }, config: {} },
  { title: 'broken CNI_ARGS', env: { CNI_ARGS: 'x;y==' }, config: {} },
  { title: 'without CNI_PATH', env: { CNI_PATH: undefined }, config: {} },
];
for (const { title, env, config } of gentle) {
  test(`DEL takes policies and record (${title}), twice is no error`, async (t) => {
    const node = createNode(t);
    await node.call('ADD');
    t.true(node.kernel.table.size > 0);
    rmSync(cachePath(node.runDir));
    for (const _ of [1, 2]) {
      const outcome = await node.call('DEL', { env, config });
      t.deepEqual(outcome, { stdout: '', stderr: '', exitCode: 0 });
    }
    t.is(node.kernel.table.size, 0);
    t.deepEqual(attachments(node), []);
  });
}

test('DEL of what was never there makes nothing and starts nothing', async (t) => {
  const node = createNode(t, null);
  t.is((await node.call('DEL')).exitCode, 0);
  t.deepEqual(node.kernel.commands, []);
  t.deepEqual(readdirSync(node.runDir), []);
});

test('DEL after a failed ADD', async (t) => {
  const node = createNode(t);
  node.kernel.failAt = { line: 1, said: 'Cannot allocate memory' };
  errorOf(t, await node.call('ADD'));
  t.is((await node.call('DEL')).exitCode, 0);
  t.is(node.kernel.table.size, 0);
});

test('DEL where the policies are gone already', async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  node.kernel.table.clear();
  t.is((await node.call('DEL')).exitCode, 0);
  t.deepEqual(attachments(node), []);
});

test("DEL leaves another's policy at a place of ours, and other attachments", async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  const [key = ''] = [...node.kernel.table.keys()];
  const foreign = 'priority 379519 tmpl src 1.1.1.1 dst 2.2.2.2 proto esp reqid 7 mode tunnel level required';
  node.kernel.table.set(key, foreign);
  t.is((await node.call('DEL', { env: { CNI_IFNAME: 'eth1' } })).exitCode, 0);
  t.true(node.kernel.table.size > 1);
  t.is((await node.call('DEL')).exitCode, 0);
  t.deepEqual([...node.kernel.table], [[key, foreign]]);
});

test('DEL that the kernel refuses: an error, and the record stays for the retry', async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  const before = node.kernel.policies();
  node.kernel.failAt = { line: 1, said: 'Cannot allocate memory' };
  t.is(errorOf(t, await node.call('DEL')).code, 100);
  t.deepEqual(node.kernel.policies(), before);
  t.deepEqual(attachments(node), [`${CONTAINER}-eth0.json`]);
  t.is((await node.call('DEL')).exitCode, 0);
  t.is(node.kernel.table.size, 0);
});

for (const text of ['', '{"schema":1', '{"schema":2}', '[]']) {
  test(`DEL drops a record that cannot be read: ${text}`, async (t) => {
    const node = createNode(t);
    mkdirSync(attachmentsDir(node.runDir));
    writeFileSync(attachmentPath(node.runDir, CONTAINER, 'eth0'), text);
    t.is((await node.call('DEL')).exitCode, 0);
    t.false(existsSync(attachmentPath(node.runDir, CONTAINER, 'eth0')));
  });
}

test('DEL with the CNI_NETNS of the node itself: code 8', async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  const error = errorOf(t, await node.call('DEL', { env: { CNI_NETNS: '/proc/self/ns/net' } }));
  t.is(error.code, 8);
  t.deepEqual(attachments(node), [`${CONTAINER}-eth0.json`]);
});
