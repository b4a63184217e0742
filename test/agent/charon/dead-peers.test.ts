import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { createDeadPeers } from '../../../src/agent/charon/dead-peers.ts';
import type { ViciMessage } from '../../../src/ipsec/vici/message.ts';

/** Longer than the watch waits before it looks. */
const LOOKED_MS = 1_500;

const repeated = (peer: number): ViciMessage => ({
  'ikesa-name': `k8s-node-${peer}`,
  'ikesa-uniqueid': String(peer),
  msg: 'retransmit 1 of request with message ID 7',
});

function deadPeers(t: ExecutionContext, fails = false) {
  const end = new AbortController();
  t.teardown(() => end.abort());
  const asked: (string | undefined)[] = [];
  const errors: unknown[] = [];
  const charon = {
    listSas: async (connection?: string) => {
      asked.push(connection);
      if (fails) {
        throw new Error('charon is away');
      }
      return [];
    },
    forget: async () => undefined,
  };
  const onError = (error: unknown): void => void errors.push(error);
  const peers = createDeadPeers(charon, { onAnswer: () => undefined, onError, signal: end.signal });
  return { peers, asked, errors, end };
}

test('a few peers are asked for by name, many together', async (t) => {
  const [few, many] = [deadPeers(t), deadPeers(t)];
  for (let peer = 1; peer <= 9; peer += 1) {
    (peer <= 8 ? few : many).peers.note(repeated(peer));
    many.peers.note(repeated(peer));
  }
  await sleep(LOOKED_MS);
  t.deepEqual(
    few.asked,
    [1, 2, 3, 4, 5, 6, 7, 8].map((peer) => `k8s-node-${peer}`),
  );
  t.deepEqual(many.asked, [undefined]);
});

test('after the end of the session nothing is asked', async (t) => {
  const { peers, asked, end } = deadPeers(t);
  peers.note(repeated(1));
  end.abort();
  await sleep(LOOKED_MS);
  t.deepEqual(asked, []);
});

test('a look that fails is told, and the next one comes with the next line', async (t) => {
  const { peers, asked, errors } = deadPeers(t, true);
  peers.note(repeated(1));
  await sleep(LOOKED_MS);
  t.is(errors.length, 1);
  t.true(peers.doubts('k8s-node-1'));
  peers.note(repeated(1));
  await sleep(LOOKED_MS);
  t.is(asked.length, 2);
});
