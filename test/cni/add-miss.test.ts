import { existsSync } from 'node:fs';
import test from 'ava';
import { planAttachment } from '../../src/ipsec/plan/plan.ts';
import { readAttachments } from '../../src/rundir/attachments.ts';
import { attachmentsDir } from '../../src/rundir/paths.ts';
import { writeNodeCache } from '../../src/rundir/write.ts';
import { corednsAttachment, seedCache } from '../helpers/unit/cache.ts';
import { sorted } from '../helpers/unit/fake-kernel.ts';
import { corednsArgs, createNode, errorOf, prevResult, START } from '../helpers/unit/plugin.ts';

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
const misses = [
  { title: 'no cache', cache: null, args: corednsArgs(), says: /node\.json: not there/ },
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

for (const { title, cache, args, says } of misses) {
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
