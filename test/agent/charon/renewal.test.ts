import test from 'ava';
import { paceOf } from '../../../src/agent/charon/pace.ts';
import { dueConnections, renewStale } from '../../../src/agent/charon/renewal.ts';
import { ViciError } from '../../../src/ipsec/vici/error.ts';
import { childSa, connection, ikeSa } from '../../helpers/charon/values.ts';

const config = connection('b');
const [first] = config.children;
const name = first?.name ?? '';

function harness(sas: ReturnType<typeof ikeSa>[], refuse = false) {
  const calls: string[] = [];
  const driver = {
    initiateIke: async (ike: string) => {
      calls.push(`ike ${ike}`);
      if (refuse) {
        throw new ViciError('refused', 'no answer');
      }
    },
    rekeyIkeSa: async (id: number) => void calls.push(`rekey ${id}`),
    initiate: async (ike: string, child: string) => void calls.push(`child ${ike} ${child}`),
  };
  const errors: unknown[] = [];
  return {
    calls,
    errors,
    charon: {
      listSas: async () => sas,
      stale: () => new Set([1]),
      endIke: async (ids: readonly number[]) => void calls.push(`end ike ${ids.join()}`),
    },
    effects: {
      open: async () => ({ charon: driver, close: () => void calls.push('close') }),
      pace: paceOf(3),
      sleep: async (ms: number) => void calls.push(`wait ${ms / 1_000}`),
      unpin: (sas: readonly { uniqueId: number }[]) =>
        void calls.push(`unpin ${sas.map(({ uniqueId }) => uniqueId).join()}`),
      onError: (error: unknown) => void errors.push(error),
    },
  };
}

const child = (change: object = {}) =>
  childSa({ name, uniqueId: 7, state: 'INSTALLED', installedFor: 60, ...change });
const sa = (uniqueId: number, change: object = {}) =>
  ikeSa({
    uniqueId,
    connection: config.name,
    state: 'ESTABLISHED',
    initiator: true,
    children: [child()],
    ...change,
  });

test('an IKE_SA is replaced before it ends: announced, its children, then the end', async (t) => {
  const { calls, charon, effects } = harness([sa(1)]);
  t.is(await renewStale(charon, [config], effects), 0);
  t.deepEqual(calls, [
    `ike ${config.name}`,
    'wait 3',
    `child ${config.name} ${name}`,
    'wait 6',
    'unpin 1',
    'wait 3',
    'end ike 1',
    'close',
  ]);
});

test('where a new one is there already, its rekeying is the announcement', async (t) => {
  const { calls, charon, effects } = harness([sa(1), sa(2, { children: [] })]);
  await renewStale(charon, [config], effects);
  t.is(calls[0], 'rekey 2');
  t.is(calls.at(-2), 'end ike 1');
});

test('what the peer has brought up meanwhile is not brought up again', async (t) => {
  const { calls, charon, effects } = harness([sa(1), sa(2)]);
  await renewStale(charon, [config], effects);
  t.deepEqual(calls, ['unpin 1', 'wait 3', 'end ike 1', 'close']);
});

test('what cannot be replaced stays, and is counted', async (t) => {
  const { calls, errors, charon, effects } = harness([sa(1)], true);
  t.is(await renewStale(charon, [config], effects), 1);
  t.is(errors.length, 1);
  t.false(calls.some((call) => call.startsWith('end')));
});

const NONE = new Set<number>();

test('connections are due by the age of their children, or the packets, at the initiator of their IKE_SA', (t) => {
  const service = { seconds: 60, packets: 1_000 };
  const young = child({ installedFor: 9, packetsOut: 999 });
  t.deepEqual(dueConnections([sa(2, { children: [young, child()] })], NONE, service), [config.name]);
  t.deepEqual(dueConnections([sa(2, { children: [young] })], NONE, service), []);
  t.deepEqual(dueConnections([sa(2, { children: [{ ...young, packetsIn: 1_000 }] })], NONE, service), [
    config.name,
  ]);
  t.deepEqual(dueConnections([sa(2, { initiator: false })], NONE, service), []);
  t.deepEqual(dueConnections([sa(2, { state: 'DELETING' })], NONE, service), []);
  t.deepEqual(dueConnections([sa(2)], new Set([2]), service), [], 'is being replaced');
});

test('nothing to replace is no session', async (t) => {
  const { calls, charon, effects } = harness([]);
  await renewStale(charon, [config], effects);
  t.deepEqual(calls, []);
});
