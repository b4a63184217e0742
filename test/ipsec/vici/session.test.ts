import test, { type ExecutionContext } from 'ava';
import type { ViciError, ViciReason } from '../../../src/ipsec/vici/error.ts';
import { connectVici, type ViciSession } from '../../../src/ipsec/vici/session.ts';
import { type FakeScript, fakeCharon } from '../../helpers/charon/fake-charon.ts';

const REQUEST = 0;

async function rejects(
  t: ExecutionContext,
  promise: Promise<unknown>,
  reason: ViciReason,
): Promise<ViciError> {
  const error = await t.throwsAsync<ViciError>(promise, { name: 'ViciError' });
  t.is(error?.reason, reason);
  return error as ViciError;
}

async function open(
  t: ExecutionContext,
  script: FakeScript,
): Promise<{ session: ViciSession; received: readonly string[] }> {
  const { path, received } = await fakeCharon(t, script);
  const session = await connectVici({ path });
  t.teardown(() => session.close());
  return { session, received };
}

test('requests go one by one, in order', async (t) => {
  let busy = false;
  const { session, received } = await open(t, ({ name }, client) => {
    t.false(busy);
    busy = true;
    setTimeout(() => {
      busy = false;
      client.send({ type: 'response', message: { name } });
    }, 5);
  });
  const replies = await Promise.all(['a', 'b', 'c'].map((name) => session.request(name)));
  t.deepEqual(replies, [{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
  t.deepEqual(received, ['0:a', '0:b', '0:c']);
});

test('success = no is refused with the errmsg', async (t) => {
  const { session } = await open(t, (_packet, client) =>
    client.send({ type: 'response', message: { success: 'no', errmsg: 'no such thing' } }),
  );
  const error = await rejects(t, session.request('load-conn'), 'refused');
  t.is(error.message, 'load-conn: no such thing');
});

test('an unknown command and an unknown event leave the session usable', async (t) => {
  const { session } = await open(t, ({ type, name }, client) => {
    const known = name === 'version';
    client.send(
      known
        ? { type: 'response', message: {} }
        : { type: type === REQUEST ? 'unknown-command' : 'unknown-event' },
    );
  });
  t.regex((await rejects(t, session.request('frobnicate'), 'unknown')).message, /no command frobnicate/);
  t.regex(
    (
      await rejects(
        t,
        session.on('frob', () => undefined),
        'unknown',
      )
    ).message,
    /no event frob/,
  );
  await rejects(t, session.stream('version', 'frob'), 'unknown');
  t.deepEqual(await session.request('version'), {});
});

test('stream registers, collects its own events and unregisters', async (t) => {
  const { session, received } = await open(t, ({ type }, client) => {
    if (type !== REQUEST) {
      client.send({ type: 'confirm' });
      return;
    }
    client.send({ type: 'event', name: 'list-sa', message: { one: {} } });
    client.send({ type: 'event', name: 'other', message: {} });
    client.send({ type: 'event', name: 'list-sa', message: { two: {} } });
    client.send({ type: 'response', message: {} });
  });
  t.deepEqual(await session.stream('list-sas', 'list-sa'), [{ one: {} }, { two: {} }]);
  t.deepEqual(received, ['3:list-sa', '0:list-sas', '4:list-sa']);
});

test('a stream that is refused unregisters as well', async (t) => {
  const { session, received } = await open(t, ({ type }, client) =>
    client.send(
      type === REQUEST ? { type: 'response', message: { success: 'no', errmsg: 'x' } } : { type: 'confirm' },
    ),
  );
  await rejects(t, session.stream('list-sas', 'list-sa'), 'refused');
  t.deepEqual(received, ['3:list-sa', '0:list-sas', '4:list-sa']);
});

test('two listeners of one event share a registration', async (t) => {
  const { session, received } = await open(t, ({ type }, client) => {
    if (type === REQUEST) {
      client.send({ type: 'event', name: 'up', message: { n: '1' } });
      client.send({ type: 'response', message: {} });
    } else {
      client.send({ type: 'confirm' });
    }
  });
  const seen: string[] = [];
  const endA = await session.on('up', () => seen.push('a'));
  const endB = await session.on('up', () => seen.push('b'));
  await session.request('poke');
  await endA();
  await session.request('poke');
  await endB();
  await endB();
  await session.request('poke');
  t.deepEqual(seen, ['a', 'b', 'b']);
  t.deepEqual(received, ['3:up', '0:poke', '0:poke', '4:up', '0:poke']);
});

test('a late reply is not taken for the next one, and what gave up in the queue is never sent', async (t) => {
  const { session, received } = await open(t, ({ name }, client) => {
    setTimeout(() => client.send({ type: 'response', message: { name } }), name === 'slow' ? 300 : 0);
  });
  const slow = session.request('slow', {}, { timeoutMs: 50 });
  const queued = session.request('queued', {}, { timeoutMs: 60 });
  const next = session.request('next');
  await rejects(t, slow, 'timeout');
  await rejects(t, queued, 'timeout');
  t.deepEqual(await next, { name: 'next' });
  t.deepEqual(received, ['0:slow', '0:next']);
});

test('a request is aborted by its signal', async (t) => {
  const { session } = await open(t, () => undefined);
  const abort = new AbortController();
  const waiting = session.request('never', {}, { signal: abort.signal });
  abort.abort();
  await rejects(t, waiting, 'aborted');
});

test('when charon dies everything that waits is rejected at once', async (t) => {
  const { session } = await open(t, (_packet, client) => client.die());
  const waiting = ['a', 'b'].map((name) => rejects(t, session.request(name), 'closed'));
  await Promise.all(waiting);
  t.is((await session.closed).reason, 'closed');
  await rejects(t, session.request('later'), 'closed');
});

test('the signal of connect ends the session', async (t) => {
  const { path } = await fakeCharon(t, () => undefined);
  const abort = new AbortController();
  const session = await connectVici({ path, signal: abort.signal });
  const waiting = rejects(t, session.request('never'), 'closed');
  abort.abort();
  await waiting;
  t.is((await session.closed).message, 'session closed');
});

test('nobody listens', async (t) => {
  const error = await rejects(t, connectVici({ path: '/nonexistent/vici' }), 'unreachable');
  t.regex(error.message, /not reachable at \/nonexistent\/vici: .*ENOENT/);
});

test('connecting with a signal that has aborted', async (t) => {
  const { path } = await fakeCharon(t, () => undefined);
  await rejects(t, connectVici({ path, signal: AbortSignal.abort() }), 'aborted');
});

const breaks = test.macro<[bytes: string, message: RegExp]>(async (t, bytes, message) => {
  const { session } = await open(t, (_packet, client) => client.sendBytes(Buffer.from(bytes, 'hex')));
  const error = await rejects(t, session.request('version'), 'malformed');
  t.regex(error.message, message);
  t.is((await session.closed).reason, 'malformed');
});

test(
  'a reply cut off inside its frame ends the session',
  breaks,
  '00000003010304',
  /key has 4 bytes, only 0/,
);
test('a frame beyond the limit ends the session', breaks, '7fffffff', /length 2147483647/);
test(
  'a confirmation of a command ends the session',
  breaks,
  '0000000105',
  /version: charon answered with a confirm/,
);
test('a packet type of clients ends the session', breaks, '0000000100', /packet type 0/);

test('a reply that nothing asked for ends the session', async (t) => {
  const { session } = await open(t, (_packet, client) => {
    client.send({ type: 'response', message: {} });
    client.send({ type: 'response', message: {} });
  });
  await session.request('version');
  t.regex((await session.closed).message, /a response that nothing asked for/);
});

test('events that nobody registered for are ignored', async (t) => {
  const { session } = await open(t, (_packet, client) => {
    client.send({ type: 'event', name: 'stray', message: {} });
    client.send({ type: 'response', message: {} });
  });
  t.deepEqual(await session.request('version'), {});
});
