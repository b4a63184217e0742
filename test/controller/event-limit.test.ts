import test from 'ava';
import { pino } from 'pino';
import { ipsecNodeSchema } from '../../src/cluster/contract/node-status.ts';
import { createEventLimit } from '../../src/controller/event-limit.ts';
import { announceFailures } from '../../src/controller/failures.ts';
import type { KubeClient, KubeRequest } from '../../src/kube/client.ts';

test('a node that changes its failures each second for an hour gets a few Events, and others all of theirs', async (t) => {
  const notes: string[] = [];
  const client = {
    request: async ({ body }: KubeRequest) => void notes.push((body as { note: string }).note),
  } as unknown as KubeClient;
  let now = 0;
  const mayWrite = createEventLimit(() => now);
  const options = { client, identity: 'c', now: () => 0, log: pino({ level: 'silent' }), mayWrite };
  const announced = new Map();
  const look = async (name: string, reason: string): Promise<void> => {
    const failures = reason === '' ? [] : [{ peer: 'b', reason }];
    const node = ipsecNodeSchema.parse({ metadata: { name, uid: 'u' }, status: { failures } });
    await announceFailures(options, [node], announced);
  };
  for (let second = 0; second < 3_600; second += 1) {
    now = 1_000 * second;
    await look('flood', second % 2 === 0 ? `no answer ${second}` : '');
  }
  t.true(notes.length >= 40 && notes.length <= 2 * (10 + 12), `${notes.length} Events`);
  t.regex(notes.at(-1) ?? '', /and \d+ Events like this before it, left out/);
  notes.length = 0;
  announced.clear();
  for (const reason of ['refused', 'no answer', 'refused']) {
    await look('quiet', reason);
  }
  t.deepEqual(notes, ['b: refused', 'b: no answer', 'b: refused']);
});

test('what is left out is told once, and Events come again', (t) => {
  let now = 0;
  const mayWrite = createEventLimit(() => now);
  const granted = (count: number): number =>
    Array.from({ length: count }, () => mayWrite('a')).filter((one) => one.granted).length;
  t.is(granted(100), 10);
  now = 300_000;
  t.deepEqual(mayWrite('a'), { granted: true, dropped: 90 });
  t.deepEqual(mayWrite('a'), { granted: false, dropped: 0 });
  now = 100 * 300_000;
  t.is(granted(100), 10);
});

test('subjects without end are not all remembered', (t) => {
  const mayWrite = createEventLimit(() => 0);
  for (let index = 0; index < 11; index += 1) {
    mayWrite('first');
  }
  t.false(mayWrite('first').granted);
  for (let index = 0; index < 20_000; index += 1) {
    mayWrite(`other ${index}`);
  }
  t.true(mayWrite('first').granted, 'it was forgotten');
});
