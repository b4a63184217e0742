import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { follow } from '../../../src/agent/charon/follow.ts';
import { createPinning } from '../../../src/agent/charon/pinning.ts';
import type { Charon } from '../../../src/ipsec/charon/charon.ts';
import type { Failure } from '../../../src/ipsec/charon/log/failures.ts';
import type { ConnectionConfig } from '../../../src/ipsec/plan/types.ts';
import type { ViciMessage } from '../../../src/ipsec/vici/message.ts';
import { ikeSa } from '../../helpers/charon/values.ts';

const line = (msg: string): ViciMessage => ({
  'ikesa-name': 'k8s-node-b',
  'ikesa-uniqueid': '1',
  msg,
});

const PLANNED: ConnectionConfig = {
  name: 'k8s-node-b',
  peer: 'b',
  localAddrs: ['192.0.2.1'],
  remoteAddrs: ['192.0.2.2'],
  localId: 'CN=ipsec-a',
  remoteId: 'CN=ipsec-b',
  children: [{ name: 'udp_dns_egress', reqid: 10_000_001, localTs: [], remoteTs: [] }],
};

/** What charon logs reaches `log`; the failures that are known then. */
async function following(t: ExecutionContext) {
  const end = new AbortController();
  t.teardown(() => end.abort());
  const failures = new Map<string, Failure>();
  const begun: string[] = [];
  const listeners: ((message: ViciMessage) => void)[] = [];
  let news = 0;
  const subscribed = async () => async () => undefined;
  const charon = {
    onIkeRekey: subscribed,
    onChildRekey: subscribed,
    onUpdown: subscribed,
    listSas: async () => [ikeSa()],
    forget: async () => undefined,
    onLog: async (listener: (message: ViciMessage) => void) => {
      listeners.push(listener);
      return async () => undefined;
    },
  } as unknown as Charon;
  await follow(charon, {
    failures,
    pinning: createPinning({ installMs: 20, lastMs: 20 }, () => undefined),
    repair: {
      charon,
      listKernel: async () => [],
      bringUp: async (children) => void begun.push(...children.map(({ child }) => child)),
    },
    planned: () => [PLANNED],
    signal: end.signal,
    onDown: () => undefined,
    onFailures: () => {
      news += 1;
    },
    onError: (error) => t.fail(String(error)),
  });
  const log = (msg: string): string[] => {
    for (const listener of listeners) {
      listener(line(msg));
    }
    return [...failures.values()].map(({ reason }) => reason);
  };
  return { log, news: () => news, begun };
}

const REPEATED = 'retransmit 5 of request with message ID 7';
const ANSWERED = 'parsed INFORMATIONAL response 7 [ ]';

test('a peer that answers again is no failure any more', async (t) => {
  const { log, news } = await following(t);
  t.regex(log(REPEATED)[0] ?? '', /does not answer/);
  t.is(news(), 1);
  t.deepEqual(log(ANSWERED), []);
  t.is(news(), 2);
});

test('other failures are not over because the peer answers', async (t) => {
  const { log } = await following(t);
  log('received TS_UNACCEPTABLE notify, no CHILD_SA built');
  log('retransmit 1 of request with message ID 7');
  t.regex(log(ANSWERED)[0] ?? '', /does not have this child/);
});

/** Longer than a look at traps takes to come. */
const LOOKED_MS = 500;
const IGNORED = 'ignoring acquire for reqid 10000001, connection attempt pending';

test('a trap is not stuck while its peer does not answer', async (t) => {
  const { log, begun } = await following(t);
  log('retransmit 1 of request with message ID 7');
  log(IGNORED);
  await sleep(LOOKED_MS);
  t.deepEqual(begun, []);
  log(ANSWERED);
  log(IGNORED);
  await sleep(LOOKED_MS);
  t.deepEqual(begun, ['udp_dns_egress']);
});
