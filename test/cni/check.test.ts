import { readdirSync } from 'node:fs';
import test from 'ava';
import { clientArgs, createNode, errorOf, prevResult } from '../helpers/unit/plugin.ts';

test('CHECK says nothing when the kernel holds what ADD laid', async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  t.deepEqual(await node.call('CHECK'), { stdout: '', stderr: '', exitCode: 0 });
});

test('CHECK of a pod that backs nothing asks the kernel nothing', async (t) => {
  const node = createNode(t);
  const env = { CNI_ARGS: clientArgs() };
  await node.call('ADD', { env });
  t.is((await node.call('CHECK', { env })).exitCode, 0);
  t.deepEqual(node.kernel.commands, []);
});

test('CHECK without a pod name has nothing to look at', async (t) => {
  const node = createNode(t);
  t.is((await node.call('CHECK', { env: { CNI_ARGS: '' } })).exitCode, 0);
});

test('CHECK finds a policy missing or changed', async (t) => {
  for (const change of ['missing', 'reqid', 'foreign']) {
    const node = createNode(t);
    await node.call('ADD');
    const [[key, body] = ['', '']] = node.kernel.table;
    node.kernel.table.delete(key);
    if (change === 'reqid') {
      node.kernel.table.set(key, body.replace(/reqid \d+/, 'reqid 10009999'));
    } else if (change === 'foreign') {
      node.kernel.table.set(key, body.replace(/priority \d+/, 'priority 9'));
    }
    const error = errorOf(t, await node.call('CHECK'));
    t.is(error.code, 102, change);
    t.regex(error.msg, /^1 of \d+ policies are not in the kernel/);
    t.regex(error.details ?? '', /^(out|fwd) 172\.16\./);
  }
});

test('CHECK without a record, and with another address than ADD had', async (t) => {
  const node = createNode(t);
  const none = errorOf(t, await node.call('CHECK'));
  t.is(none.code, 102);
  t.regex(none.msg, /c0ffee-eth0\.json: not there/);
  await node.call('ADD');
  const other = errorOf(t, await node.call('CHECK', { config: { prevResult: prevResult('172.16.166.9') } }));
  t.is(other.code, 102);
  t.regex(other.msg, /172\.16\.166\.9, but the record of ADD has 172\.16\.166\.178/);
});

test('CHECK changes nothing', async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  const before = [...node.kernel.table];
  const files = readdirSync(node.runDir, { recursive: true });
  await node.call('CHECK');
  t.deepEqual([...node.kernel.table], before);
  t.deepEqual(readdirSync(node.runDir, { recursive: true }), files);
});
