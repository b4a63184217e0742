import test from 'ava';
import { type CharonSession, createCharonLink } from '../../../src/agent/charon/link.ts';

function session(): CharonSession & { die: (reason: string) => void } {
  let die: (reason: string) => void = () => undefined;
  const closed = new Promise<string>((resolve) => {
    die = resolve;
  });
  const value = {
    load: async () => undefined,
    prune: async () => undefined,
    forgetRebooted: async () => undefined,
    bringUp: async () => undefined,
    report: async () => ({ ikeSas: 1, childSas: 2, certificate: null, failures: [] }),
    closed,
    close: () => die('closed'),
    renew: async () => undefined,
    pins: () => new Map(),
    die,
  };
  return value;
}

test('a session that ends is opened anew, and each change is told', async (t) => {
  const abort = new AbortController();
  const sessions = [session(), session()];
  const errors: string[] = [];
  let opened = 0;
  const link = createCharonLink({
    open: async () => {
      const next = sessions[opened++];
      if (next === undefined) {
        throw new Error('connect ENOENT /run/charon.vici');
      }
      return next;
    },
    onChange: () => {
      errors.push(link.error());
      if (errors.length === 1) {
        sessions[0]?.die('charon went away');
      }
      if (errors.length === 3) {
        sessions[1]?.die('charon went away again');
      }
      if (errors.length === 5) {
        abort.abort();
      }
    },
    sleep: async () => undefined,
  });
  t.is(link.error(), 'not connected yet');
  await link.run(abort.signal);
  t.deepEqual(errors, [
    '',
    'charon went away',
    '',
    'charon went away again',
    'connect ENOENT /run/charon.vici',
  ]);
});

test('without a session nothing is asked of charon', async (t) => {
  const link = createCharonLink({
    open: async () => session(),
    onChange: () => undefined,
    sleep: async () => undefined,
  });
  await link.load([]);
  await link.prune([]);
  t.is(link.error(), 'not connected yet');
});

test('abort closes the session', async (t) => {
  const abort = new AbortController();
  const only = session();
  const link = createCharonLink({
    open: async () => only,
    onChange: () => abort.abort(),
    sleep: async () => undefined,
  });
  await link.run(abort.signal);
  t.is(await only.closed, 'closed');
});

test('a session that begins between load and prune is not pruned before it is loaded', async (t) => {
  const abort = new AbortController();
  const calls: string[] = [];
  const opened = Promise.withResolvers<void>();
  const value = {
    ...session(),
    load: async () => void calls.push('load'),
    prune: async () => void calls.push('prune'),
  };
  const link = createCharonLink({
    open: async () => {
      await opened.promise;
      return value;
    },
    onChange: () => undefined,
    sleep: async () => undefined,
  });
  const running = link.run(abort.signal);
  await link.load([]);
  opened.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  await link.prune([]);
  t.deepEqual(calls, []);
  await link.load([]);
  await link.prune([]);
  t.deepEqual(calls, ['load', 'prune']);
  abort.abort();
  await running;
});
