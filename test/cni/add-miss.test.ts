import { existsSync, rmSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { planAttachment } from '../../src/ipsec/plan/plan.ts';
import { readAttachments } from '../../src/rundir/attachments.ts';
import { attachmentsDir, unguardedPath } from '../../src/rundir/paths.ts';
import { writeNodeCache } from '../../src/rundir/write.ts';
import { corednsAttachment, seedCache } from '../helpers/unit/cache.ts';
import { sorted } from '../helpers/unit/fake-kernel.ts';
import { clientArgs, corednsArgs, createNode, errorOf, prevResult, START } from '../helpers/unit/plugin.ts';

const PLANNED = sorted(planAttachment(seedCache(), corednsAttachment));
const withoutCoredns = seedCache({ pods: seedCache().pods.filter(({ name }) => name !== 'coredns-1') });

test('waits for the pod to appear in the cache', async (t) => {
  const node = createNode(t, withoutCoredns);
  node.clock.onSleep = () => {
    if (node.clock.now >= START + 1_000) {
      node.clock.onSleep = undefined;
      writeNodeCache(node.runDir, seedCache());
    }
  };
  const outcome = await node.call('ADD');
  t.is(outcome.exitCode, 0, outcome.stdout);
  t.deepEqual(node.kernel.policies(), PLANNED);
  t.is(node.clock.now, START + 1_000);
});

test('waits for the cache itself', async (t) => {
  const node = createNode(t, null);
  node.clock.onSleep = () => {
    node.clock.onSleep = undefined;
    writeNodeCache(node.runDir, seedCache());
  };
  t.is((await node.call('ADD')).exitCode, 0);
  t.deepEqual(node.kernel.policies(), PLANNED);
});

const elsewhere = seedCache({ pods: seedCache().pods.map((pod) => ({ ...pod, namespace: 'elsewhere' })) });
const OTHER_BOOT = '00000000-0000-0000-0000-000000000000';
const closed = [
  { title: 'no cache', cache: null, args: corednsArgs(), says: /node\.json: not there/ },
  {
    title: 'a cache that the kernel never had',
    cache: (({ bootId: _, ...cache }) => cache)(seedCache()),
    args: corednsArgs(),
    says: /nothing has been enforced on this node since it booted/,
  },
  {
    title: 'a cache of another boot',
    cache: seedCache({ bootId: OTHER_BOOT }),
    args: corednsArgs(),
    says: /is of another boot/,
  },
];
const misses = [
  {
    title: 'the pod is not in it',
    cache: withoutCoredns,
    args: corednsArgs(),
    says: /kube-system\/coredns-1/,
  },
  {
    title: 'a pod of the name in another namespace',
    cache: elsewhere,
    args: corednsArgs(),
    says: /coredns-1/,
  },
  { title: 'an earlier pod of the name', cache: seedCache(), args: corednsArgs('uid-9'), says: /coredns-1/ },
];

for (const { title, cache, args, says } of [...closed, ...misses]) {
  test(`cache miss (${title}), fail: code 11 after cacheWaitMs, nothing left behind`, async (t) => {
    const node = createNode(t, cache);
    const error = errorOf(
      t,
      await node.call('ADD', { env: { CNI_ARGS: args }, config: { cacheWaitMs: 700 } }),
    );
    t.is(error.code, 11);
    t.regex(error.msg, says);
    t.regex(error.msg, /700 ms/);
    t.is(node.clock.now, START + 700);
    t.deepEqual(node.kernel.commands, []);
    t.false(existsSync(attachmentsDir(node.runDir)));
  });
}

for (const { title, cache, says } of closed) {
  for (const args of [corednsArgs(), clientArgs()]) {
    test(`no pod passes where nothing is enforced (${title}, ${args})`, async (t) => {
      const node = createNode(t, cache);
      const config = { cacheWaitMs: 0, onCacheMiss: 'pass' };
      const error = errorOf(t, await node.call('ADD', { env: { CNI_ARGS: args }, config }));
      t.is(error.code, 11);
      t.regex(error.msg, says);
      t.false(existsSync(attachmentsDir(node.runDir)));
    });
  }
}

for (const { title, cache, args } of misses) {
  test(`cache miss (${title}), pass: prevResult, and a record for the agent`, async (t) => {
    const node = createNode(t, cache);
    const config = { cacheWaitMs: 0, onCacheMiss: 'pass' };
    const outcome = await node.call('ADD', { env: { CNI_ARGS: args }, config });
    t.deepEqual(JSON.parse(outcome.stdout), prevResult());
    t.deepEqual(node.kernel.commands, []);
    const [record] = readAttachments(node.runDir).records;
    t.is(record?.pod?.name, 'coredns-1');
    t.deepEqual(record?.policies, []);
  });
}

test('a uid is compared only where both sides have one', async (t) => {
  const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=coredns-1`;
  const node = createNode(t);
  t.is((await node.call('ADD', { env: { CNI_ARGS: args } })).exitCode, 0);
  t.deepEqual(node.kernel.policies(), PLANNED);
});

test('a node whose nft table is missing attaches nothing, and goes on as soon as it is back', async (t) => {
  const node = createNode(t);
  writeFileSync(unguardedPath(node.runDir), 'Error: interval overlaps\n');
  const config = { cacheWaitMs: 500, onCacheMiss: 'pass' };
  const error = errorOf(t, await node.call('ADD', { config }));
  t.is(error.code, 11);
  t.regex(
    error.msg,
    /nft table of this node is missing \(.*unguarded\): Error: interval overlaps after 500 ms/,
  );
  t.deepEqual(node.kernel.commands, []);

  const begun = node.clock.now;
  node.clock.onSleep = () => {
    if (node.clock.now >= begun + 100) {
      node.clock.onSleep = undefined;
      rmSync(unguardedPath(node.runDir));
    }
  };
  t.is((await node.call('ADD', { config })).exitCode, 0);
  t.is(node.clock.now, begun + 100);
  t.deepEqual(node.kernel.policies(), PLANNED);
});

test('DEL, CHECK and GC need neither', async (t) => {
  const node = createNode(t);
  t.is((await node.call('ADD')).exitCode, 0);
  writeNodeCache(node.runDir, seedCache({ bootId: OTHER_BOOT }));
  writeFileSync(unguardedPath(node.runDir), '');
  t.is((await node.call('CHECK')).exitCode, 0);
  const gc = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
  t.is((await node.call('GC', { config: gc })).exitCode, 0);
  t.is((await node.call('DEL')).exitCode, 0);
  t.deepEqual(node.kernel.policies(), []);
});
