import test, { type ExecutionContext } from 'ava';
import {
  createLiveness,
  ELSEWHERE_MS,
  type Liveness,
  SILENT_MS,
  UNANSWERED_MS,
} from '../../../../src/ipsec/charon/log/liveness.ts';
import { parseIkeSas } from '../../../../src/ipsec/charon/replies.ts';
import type { ViciMessage } from '../../../../src/ipsec/vici/message.ts';

const B = new Set(['k8s-node-b']);

const line = (id: number, msg: string): ViciMessage => ({
  group: 'IKE',
  level: '1',
  'ikesa-name': 'k8s-node-b',
  'ikesa-uniqueid': String(id),
  msg,
});
const repeated = (id: number): ViciMessage => line(id, 'retransmit 1 of request with message ID 7');
const answered = (id: number): ViciMessage => line(id, 'parsed INFORMATIONAL response 7 [ ]');

interface Given {
  readonly state?: string;
  readonly packets?: number;
  readonly connection?: string;
}

const sa = (
  uniqueid: number,
  { state = 'ESTABLISHED', packets = 0, connection = 'k8s-node-b' }: Given = {},
) =>
  parseIkeSas([
    {
      [connection]: {
        uniqueid: String(uniqueid),
        version: '2',
        state,
        'local-host': '192.0.2.1',
        'remote-host': '192.0.2.2',
        'local-id': 'a',
        'remote-id': 'b',
        ...(state === 'CONNECTING' ? {} : { established: '100' }),
        'child-sas': {
          'c-1': {
            name: 'c',
            uniqueid: '1',
            reqid: '1',
            state: 'INSTALLED',
            mode: 'TUNNEL',
            'packets-in': String(packets),
          },
        },
      },
    },
  ])[0] as ReturnType<typeof parseIkeSas>[number];

/** Looks every second; the second in which an IKE_SA is given up. */
function givenUpAt(
  t: ExecutionContext,
  liveness: Liveness,
  list: (second: number) => ReturnType<typeof sa>[],
  until: number,
): number | undefined {
  for (let second = 1; second <= until; second += 1) {
    const [dead, ...more] = liveness.judge(list(second), B, second * 1_000);
    t.is(more.length, 0);
    if (dead !== undefined) {
      return second;
    }
  }
  return undefined;
}

test('a peer that sends ESP is alive, whatever becomes of IKE', (t) => {
  const liveness = createLiveness();
  liveness.note(repeated(1), 0);
  t.is(
    givenUpAt(t, liveness, (second) => [sa(1, { packets: second })], 1_000),
    undefined,
  );
  t.deepEqual(liveness.doubtful(), B);
});

test('a peer of which nothing comes is given up when it was silent for long', (t) => {
  const liveness = createLiveness();
  liveness.note(repeated(1), 0);
  t.is(
    givenUpAt(t, liveness, () => [sa(1, { packets: 7 })], 1_000),
    1 + SILENT_MS / 1_000,
  );
  t.is(liveness.doubtful().size, 0);
});

test('the silence counts from the last packet', (t) => {
  const liveness = createLiveness();
  liveness.note(repeated(1), 0);
  t.is(
    givenUpAt(t, liveness, (second) => [sa(1, { packets: Math.min(second, 30) })], 1_000),
    30 + SILENT_MS / 1_000,
  );
});

test('a peer that answers again is not in doubt any more', (t) => {
  const liveness = createLiveness();
  t.deepEqual(liveness.note(repeated(1), 0), { connection: 'k8s-node-b', answered: false });
  t.deepEqual(liveness.note(answered(1), 5_000), { connection: 'k8s-node-b', answered: true });
  t.is(liveness.doubtful().size, 0);
  t.is(
    givenUpAt(t, liveness, () => [sa(1)], 1_000),
    undefined,
  );
  t.is(liveness.note(answered(1), 6_000), undefined);
});

test('an answer to another IKE_SA is none', (t) => {
  const liveness = createLiveness();
  liveness.note(repeated(1), 0);
  t.is(liveness.note(answered(2), 1_000), undefined);
  t.deepEqual(liveness.doubtful(), B);
});

for (const state of ['CONNECTING', 'DELETING', 'REKEYED']) {
  test(`one that is ${state} is given up at once when it has waited long enough`, (t) => {
    const liveness = createLiveness();
    liveness.note(repeated(1), 0);
    t.is(
      givenUpAt(t, liveness, (second) => [sa(1, { state, packets: second })], 1_000),
      UNANSWERED_MS / 1_000,
    );
  });
}

test('one that its peer has lost goes when nothing comes through it any more', (t) => {
  const both = (packets: number) => [sa(1, { packets }), sa(2, { packets: 1 })];
  const idle = createLiveness();
  idle.note(repeated(1), 0);
  t.is(idle.note(answered(2), 5_000), undefined);
  t.is(
    givenUpAt(t, idle, () => both(7), 1_000),
    5 + ELSEWHERE_MS / 1_000,
  );
  const busy = createLiveness();
  busy.note(repeated(1), 0);
  busy.note(answered(2), 5_000);
  t.is(
    givenUpAt(t, busy, (second) => both(Math.min(second, 30)), 1_000),
    30 + ELSEWHERE_MS / 1_000,
  );
});

test('an answer through another one does not doom one that answers as well', (t) => {
  const liveness = createLiveness();
  liveness.note(repeated(1), 0);
  liveness.note(answered(2), 5_000);
  liveness.note(answered(1), 8_000);
  liveness.note(repeated(1), 20_000);
  liveness.judge([sa(1), sa(2)], B, 20_000);
  t.deepEqual(liveness.judge([sa(1), sa(2)], B, 20_000 + SILENT_MS - 1), []);
});

test('tells whether the peer answers elsewhere', (t) => {
  const liveness = createLiveness();
  liveness.note(repeated(1), 0);
  liveness.note(repeated(3), 0);
  liveness.note({ ...repeated(4), 'ikesa-name': 'k8s-node-c' }, 0);
  liveness.note(answered(3), 0);
  liveness.note(repeated(3), 0);
  const sas = [sa(1), sa(2), sa(3)];
  liveness.judge(sas, B, 0);
  t.deepEqual(liveness.judge(sas, B, SILENT_MS), [
    { uniqueId: 1, connection: 'k8s-node-b', elsewhere: true },
    { uniqueId: 3, connection: 'k8s-node-b', elsewhere: false },
  ]);
});

test('that another one is up proves nothing, nor does what anybody can send, nor another peer', (t) => {
  const liveness = createLiveness();
  liveness.note(repeated(1), 0);
  liveness.note(line(2, 'parsed IKE_SA_INIT response 0 [ SA KE No ]'), 0);
  liveness.note(line(2, 'parsed IKE_AUTH response 1 [ EF(1/2) ]'), 0);
  liveness.note({ ...answered(4), 'ikesa-name': 'k8s-node-c' }, 0);
  t.is(
    givenUpAt(t, liveness, () => [sa(1), sa(2)], 1_000),
    1 + SILENT_MS / 1_000,
  );
});

test('connections that were not asked for stay in doubt, what is gone does not', (t) => {
  const liveness = createLiveness();
  liveness.note(repeated(1), 0);
  liveness.judge([], new Set(['k8s-node-c']), 1_000);
  t.deepEqual(liveness.doubtful(), B);
  liveness.judge([], B, 1_000);
  t.is(liveness.doubtful().size, 0);
});

test('other lines say nothing', (t) => {
  const liveness = createLiveness();
  t.is(liveness.note({}, 0), undefined);
  t.is(liveness.note({ msg: 'retransmit 1 of request with message ID 0' }, 0), undefined);
  t.is(liveness.note(line(1, 'sending DPD request'), 0), undefined);
  t.is(
    liveness.note(line(1, 'received retransmit of request with ID 3, retransmitting response'), 0),
    undefined,
  );
  t.is(liveness.doubtful().size, 0);
});

test('connections of somebody else are left alone', (t) => {
  const liveness = createLiveness();
  t.is(liveness.note({ ...repeated(1), 'ikesa-name': 'roadwarrior' }, 0), undefined);
  t.is(liveness.doubtful().size, 0);
});
