import { writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { readAttachments } from '../../src/rundir/attachments.ts';
import { attachmentsDir } from '../../src/rundir/paths.ts';
import { createNode, errorOf, type FakeNode, prevResult } from '../helpers/unit/plugin.ts';

const KEY = 'cni.dev/valid-attachments';
const ENV = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined, CNI_ARGS: undefined };

const gc = (node: FakeNode, valid: unknown, name = 'pods') =>
  node.call('GC', { env: ENV, config: { cniVersion: '1.1.0', name, [KEY]: valid, prevResult: undefined } });
const ids = ({ runDir }: FakeNode) => readAttachments(runDir).records.map(({ containerId }) => containerId);

/** Three attachments of `pods` and one of `other`, each protected. */
async function populated(t: ExecutionContext): Promise<FakeNode> {
  const node = createNode(t);
  for (const [index, id] of ['a', 'b', 'c', 'foreign'].entries()) {
    const config = {
      prevResult: prevResult(`172.16.166.20${index}`),
      name: id === 'foreign' ? 'other' : 'pods',
    };
    t.is((await node.call('ADD', { env: { CNI_CONTAINERID: id }, config })).exitCode, 0);
  }
  return node;
}

test('GC keeps what is listed, and what is of another network', async (t) => {
  const node = await populated(t);
  const all = node.kernel.table.size;
  const outcome = await gc(node, [
    { containerID: 'b', ifname: 'eth0' },
    { containerID: 'c', ifname: 'eth1' },
    { containerID: 'unknown', ifname: 'eth0' },
  ]);
  t.deepEqual(outcome, { stdout: '', stderr: '', exitCode: 0 });
  t.deepEqual(ids(node), ['b', 'foreign']);
  t.is(node.kernel.table.size, all / 2);
});

test('GC with an empty list takes all of its network; again is no error', async (t) => {
  const node = await populated(t);
  const all = node.kernel.table.size;
  for (const _ of [1, 2]) {
    t.is((await gc(node, [])).exitCode, 0);
    t.deepEqual(ids(node), ['foreign']);
    t.is(node.kernel.table.size, all / 4);
  }
});

for (const [says, valid] of [
  [/valid-attachments: missing/, undefined],
  [/valid-attachments: null/, null],
] as const) {
  test(`GC without a list (${valid}): code 7, nothing taken`, async (t) => {
    const node = await populated(t);
    const all = node.kernel.table.size;
    const error = errorOf(t, await gc(node, valid));
    t.is(error.code, 7);
    t.regex(error.msg, says);
    t.is(node.kernel.table.size, all);
    t.is(ids(node).length, 4);
  });
}

test('GC goes on after an attachment that fails, and names it', async (t) => {
  const node = await populated(t);
  node.kernel.failAt = { line: 0, said: 'Cannot allocate memory' };
  const error = errorOf(t, await gc(node, []));
  t.regex(error.details ?? '', /^a eth0: .*Cannot allocate memory/);
  t.deepEqual(ids(node), ['a', 'foreign']);
  t.is((await gc(node, [])).exitCode, 0);
  t.deepEqual(ids(node), ['foreign']);
});

test('GC goes on after a record that cannot be read, and names it', async (t) => {
  const node = await populated(t);
  writeFileSync(`${attachmentsDir(node.runDir)}/b-eth0.json`, '{"schema":');
  const error = errorOf(t, await gc(node, []));
  t.is(error.code, 5);
  t.regex(error.details ?? '', /b-eth0\.json: not JSON/);
  t.deepEqual(ids(node), ['foreign']);
});
