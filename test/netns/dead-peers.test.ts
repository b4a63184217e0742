import { readdirSync, readFileSync } from 'node:fs';
import { kill } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { createDeadPeers, type DeadPeers } from '../../src/agent/charon/dead-peers.ts';
import { UNANSWERED_MS } from '../../src/ipsec/charon/log/liveness.ts';
import { type CharonNode, charonTest, pair, trigger } from '../helpers/charon/charon-test.ts';
import { until } from '../helpers/unit/until.ts';

/** What charon takes to send a request again, and we to look. */
const SLACK_MS = 4_000;

interface Watch {
  readonly answers: readonly string[];
  readonly peers: DeadPeers;
}

async function watch(t: ExecutionContext, { charon }: CharonNode): Promise<Watch> {
  const answers: string[] = [];
  const end = new AbortController();
  t.teardown(() => end.abort());
  const { signal } = end;
  const onError = (error: unknown): void => t.fail(String(error));
  const peers = createDeadPeers(charon, { onAnswer: (name) => answers.push(name), onError, signal });
  await charon.onLog(peers.note);
  return { answers, peers };
}

/** Nothing that reaches it from now on is answered until `resume`. */
async function suspend(t: ExecutionContext, { process }: CharonNode): Promise<() => void> {
  const resume = (): void => void kill(process.pid, 'SIGCONT');
  t.teardown(resume);
  kill(process.pid, 'SIGSTOP');
  await until('stopped', () =>
    readdirSync(`/proc/${process.pid}/task`).every((thread) =>
      /^State:\tT/m.test(readFileSync(`/proc/${process.pid}/task/${thread}/status`, 'utf8')),
    ),
  );
  return resume;
}

charonTest('an IKE_SA outlives a peer that is silent for a while', async (t, a, b) => {
  await b.charon.reconcile([pair('b', { dns: [53] })]);
  await a.charon.reconcile([pair('a', { dns: [53] })]);
  const { answers, peers } = await watch(t, a);
  await a.charon.initiateIke('k8s-node-b', 30_000);
  const [before] = await a.charon.listSas();
  const resume = await suspend(t, b);
  await a.charon.rekeyIkeSa(before?.uniqueId ?? 0);
  await sleep(UNANSWERED_MS + SLACK_MS);
  t.deepEqual(
    (await a.charon.listSas()).map(({ uniqueId }) => uniqueId),
    [before?.uniqueId],
  );
  t.deepEqual(answers, []);
  t.true(peers.doubts('k8s-node-b'));
  resume();
  await until('answered', () => answers.length > 0);
  t.is(answers[0], 'k8s-node-b');
  t.false(peers.doubts('k8s-node-b'));
  await until('rekeyed', async () =>
    (await a.charon.listSas()).every(
      ({ uniqueId, state }) => state === 'ESTABLISHED' && uniqueId !== before?.uniqueId,
    ),
  );
});

charonTest('one that was never up is given up, and the next packet begins another', async (t, a, b) => {
  const own = pair('a', { dns: [53] });
  const reqid = own.children.find(({ name }) => name === 'udp_dns_egress')?.reqid ?? 0;
  await b.charon.reconcile([pair('b', { dns: [53] })]);
  await a.charon.reconcile([own]);
  await watch(t, a);
  const first = async () => (await a.charon.listSas())[0];
  const resume = await suspend(t, b);
  await trigger(a, reqid);
  const connecting = await until('connecting', first);
  t.is(connecting.state, 'CONNECTING');
  t.true(connecting.negotiating, 'its first CHILD_SA comes with it');
  await sleep(UNANSWERED_MS / 2);
  t.is((await first())?.uniqueId, connecting.uniqueId);
  await until('given up', async () => (await first()) === undefined);
  t.notRegex(a.process.log(), /giving up after/);
  resume();
  await trigger(a, reqid);
  await until('up', async () => (await first())?.state === 'ESTABLISHED');
});
