import test from 'ava';
import { createWake } from '../../src/util/wake.ts';

const LONG = 60_000;
const never = new AbortController().signal;

test('notify wakes the waiter', async (t) => {
  const wake = createWake();
  const waiting = wake.wait(LONG, never);
  wake.notify();
  await waiting;
  t.pass();
});

test('a notify that nobody waits for is not lost', async (t) => {
  const wake = createWake();
  wake.notify();
  await wake.wait(LONG, never);
  t.pass();
});

test('many notifies wake once', async (t) => {
  const wake = createWake();
  wake.notify();
  wake.notify();
  await wake.wait(LONG, never);
  const started = performance.now();
  await wake.wait(20, never);
  t.true(performance.now() - started >= 15);
});

test('abort ends the wait, and leaves no listener behind', async (t) => {
  const wake = createWake();
  const abort = new AbortController();
  const waiting = wake.wait(LONG, abort.signal);
  abort.abort();
  await waiting;
  await wake.wait(LONG, abort.signal);
  t.pass();
});

test('what wakes is the widest that was asked for since the last wait', async (t) => {
  const wake = createWake();
  wake.notify('change');
  wake.notify('all');
  wake.notify('charon');
  t.is(await wake.wait(LONG, never), 'all');
  wake.notify('change');
  t.is(await wake.wait(LONG, never), 'change');
  t.is(await wake.wait(1, never), undefined);
});
