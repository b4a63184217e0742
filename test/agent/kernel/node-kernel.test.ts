import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { createNodeKernel } from '../../../src/agent/kernel/node-kernel.ts';
import { createRecordReader } from '../../../src/agent/kernel/records.ts';
import { planAttachment, planPolicies } from '../../../src/ipsec/plan/plan.ts';
import { applyOperations } from '../../../src/ipsec/xfrm/write/apply.ts';
import { writeAttachment } from '../../../src/rundir/attachments.ts';
import { bootIdOf } from '../../../src/rundir/gate.ts';
import { readNodeCache } from '../../../src/rundir/read.ts';
import { writeNodeCache } from '../../../src/rundir/write.ts';
import { corednsAttachment, seedCache } from '../../helpers/unit/cache.ts';
import { createFakeKernel } from '../../helpers/unit/fake-kernel.ts';
import { COREDNS_ADDRESS, clientArgs, createNode, errorOf } from '../../helpers/unit/plugin.ts';

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'trapline-node-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

test('a policy that somebody else removed is noticed by the next small step, and by a look', async (t) => {
  const kernel = createFakeKernel();
  const node = createNodeKernel(folder(t), { ...kernel, ip: '/ip' }, pino({ level: 'silent' }));
  const cache = seedCache();
  await node.enforce(cache, {});
  t.true(await node.undisturbed());
  t.false((await node.enforce({ ...cache, endpoints: [] }, { trusting: true })).compared);

  const [key = ''] = kernel.table.keys();
  kernel.table.delete(key);
  t.false(await node.undisturbed());
  t.true((await node.enforce(cache, { trusting: true })).compared);
  t.is(kernel.table.size, planPolicies(cache, []).length);
  t.true(await node.undisturbed());
});

test('a policy that somebody else changed in its place is seen by an inspection, which a step in between does not disturb', async (t) => {
  const kernel = createFakeKernel();
  let meanwhile = async (): Promise<void> => undefined;
  const limits: unknown[] = [];
  const stream: typeof kernel.stream = async (command, take) => {
    limits.push(command.timeoutMs);
    await meanwhile();
    return await kernel.stream(command, take);
  };
  const iproute2 = { run: kernel.run, stream, ip: '/ip' };
  const node = createNodeKernel(folder(t), iproute2, pino({ level: 'silent' }));
  t.false(await node.intact(), 'nothing is laid');
  const cache = seedCache();
  await node.enforce(cache, {});
  t.true(await node.intact());
  t.deepEqual(limits, [30_000, 300_000], 'an inspection takes its time');

  let steps = 0;
  meanwhile = async () => {
    steps += 1;
    const endpoints = steps % 2 === 1 ? [] : cache.endpoints;
    t.false((await node.enforce({ ...cache, endpoints }, { trusting: true })).compared);
  };
  t.true(await node.intact());
  t.is(steps, 1, 'what a step has changed is left out');
  meanwhile = async () => undefined;
  await node.enforce(cache, {});

  const [key = '', body = ''] = [...kernel.table.entries()][0] ?? [];
  kernel.table.set(key, body.replace(/priority \d+/, 'priority 1199'));
  t.true(await node.undisturbed());
  const before = limits.length;
  t.false(await node.intact());
  t.is(limits.length - before, 2, 'off twice');
  await node.enforce(cache, {});
  t.is(kernel.table.get(key), body);
  t.true(await node.intact());
});

test('what the plugin lays while the kernel is inspected is no disturbance once a step knows of it', async (t) => {
  const runDir = folder(t);
  const kernel = createFakeKernel();
  const readings: (() => Promise<void>)[] = [];
  const stream: typeof kernel.stream = async (command, take) => {
    await readings.shift()?.();
    return await kernel.stream(command, take);
  };
  const iproute2 = { run: kernel.run, stream, ip: '/ip' };
  const node = createNodeKernel(runDir, iproute2, pino({ level: 'silent' }));
  const cache = seedCache();
  await node.enforce(cache, {});

  const attached = { ...corednsAttachment, addresses: ['172.16.192.99'] };
  const policies = planAttachment(cache, attached);
  const ids = { containerId: 'late', ifName: 'eth0', netns: '', network: 'pods', createdAt: 1 };
  const add = async (): Promise<void> => {
    await applyOperations(
      iproute2,
      policies.map((policy) => ({ op: 'add', policy })),
    );
    writeAttachment(runDir, { schema: 1, ...ids, ...attached, policies });
  };
  const step = async (): Promise<void> => {
    t.false((await node.enforce(cache, { trusting: true })).compared);
  };
  const left = [add, step, async () => undefined];
  readings.push(...left);
  t.true(await node.intact());
  t.is(readings.length, 0, 'what was off and has changed since is read a third time');
  t.true(await node.intact());
});

test('a record that was not written anew is the same object', (t) => {
  const runDir = folder(t);
  const ids = { schema: 1, ifName: 'eth0', netns: '', network: 'pods', createdAt: 1, policies: [] } as const;
  const record = { ...ids, ...corednsAttachment, policies: [] };
  writeAttachment(runDir, { ...record, containerId: 'a' });
  writeAttachment(runDir, { ...record, containerId: 'b' });
  const read = createRecordReader(runDir);
  const before = read().records;
  writeAttachment(runDir, { ...record, containerId: 'b', createdAt: 2 });
  const after = read().records;
  t.is(after[0], before[0]);
  t.is(after[1]?.createdAt, 2);
});

test('the cache is written once the kernel has it, the first time in a boot, and before the kernel from then on', async (t) => {
  const runDir = folder(t);
  const { bootId: _, ...cache } = seedCache();
  const former = seedCache({ generation: 7, bootId: 'of another boot' });
  writeNodeCache(runDir, former);
  const kernel = createFakeKernel();
  const log = pino({ level: 'silent' });
  const found = (): unknown => {
    const read = readNodeCache(runDir);
    return read.kind === 'ok' ? [read.value.generation, read.value.bootId] : read.kind;
  };
  const node = createNodeKernel(runDir, { ...kernel, ip: '/ip' }, log, former);
  kernel.refuses = () => true;
  await t.throwsAsync(node.enforce(cache, {}));
  t.deepEqual(found(), [7, 'of another boot'], 'a kernel that refuses all has nothing');
  let during: unknown;
  kernel.refuses = () => {
    during = found();
    return false;
  };
  await node.enforce(cache, {});
  t.deepEqual(during, [7, 'of another boot']);
  t.deepEqual(found(), [1, bootIdOf()]);
  await node.enforce({ ...cache, generation: 2, endpoints: [] }, {});
  t.deepEqual(during, [2, bootIdOf()]);

  const next = createNodeKernel(runDir, { ...kernel, ip: '/ip' }, log, { ...cache, bootId: bootIdOf() });
  await next.enforce({ ...cache, generation: 3 }, {});
  t.deepEqual(during, [3, bootIdOf()], 'another agent in the same boot');
});

test('where the kernel refuses some policies ADD may attach, and fails for a pod that needs one of them', async (t) => {
  const fake = createNode(t, null);
  const log = pino({ level: 'silent' });
  const node = createNodeKernel(fake.runDir, { ...fake.kernel, ip: '/ip' }, log);
  t.is(errorOf(t, await fake.call('ADD', { config: { cacheWaitMs: 0 } })).code, 11);
  fake.kernel.refuses = (line) =>
    line.includes(`src ${COREDNS_ADDRESS}/32 dst 172.16.43.0/26`) ||
    /out .* dst 172.16.192.115\/32 .*dport 53 /.test(line);
  const { refused } = await node.enforce(seedCache(), {});
  t.true(refused.length > 0);
  t.is(errorOf(t, await fake.call('ADD')).code, 100);
  t.is((await fake.call('ADD', { env: { CNI_ARGS: clientArgs() } })).exitCode, 0);
});
