import test from 'ava';
import { messageOf } from '../../src/util/message-of.ts';
import { sleep } from '../../src/util/sleep.ts';

test('an abort ends the wait, and is no error', async (t) => {
  const stop = new AbortController();
  const waiting = sleep(600_000, stop.signal);
  stop.abort();
  await t.notThrowsAsync(waiting);
  await t.notThrowsAsync(sleep(600_000, stop.signal));
  await t.notThrowsAsync(sleep(1));
});

test('whatever is thrown has a message', (t) => {
  t.is(messageOf(new TypeError('a')), 'a');
  t.is(messageOf('b'), 'b');
  t.is(messageOf(undefined), 'undefined');
});
