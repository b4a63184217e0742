import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { LockError, type LockOptions, withLock } from '../../src/rundir/lock/lock.ts';
import { lockPath } from '../../src/rundir/paths.ts';
import { uptime } from '../../src/util/uptime.ts';

const WORKER = join(import.meta.dirname, 'lock-worker.ts');
const quick: LockOptions = { timeoutMs: 100, uptime, sleep: (ms) => sleep(ms) };
const patient: LockOptions = { ...quick, timeoutMs: 60_000 };

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'trapline-lock-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function work(t: ExecutionContext, ...args: string[]): ChildProcess {
  const child = spawn(execPath, [WORKER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => void child.kill('SIGKILL'));
  return child;
}

async function exited(child: ChildProcess): Promise<unknown> {
  const [code] = await once(child, 'exit');
  return code;
}

test('what runs under the lock runs alone, in processes', async (t) => {
  const runDir = folder(t);
  const children = Array.from({ length: 8 }, () => work(t, runDir, 'count', '200'));
  t.deepEqual(await Promise.all(children.map(exited)), Array(8).fill(0));
  t.is(readFileSync(`${runDir}/counter`, 'utf8'), '1600');
  t.deepEqual(readdirSync(runDir), ['counter']);
});

test('of many who see an abandoned lock one takes it over', async (t) => {
  const runDir = folder(t);
  const children = Array.from({ length: 8 }, () => work(t, runDir, 'crash', '100'));
  t.deepEqual(await Promise.all(children.map(exited)), Array(8).fill(0));
  t.is(readFileSync(`${runDir}/counter`, 'utf8'), '800');
});

test('what runs under the lock runs alone, in one process', async (t) => {
  const runDir = folder(t);
  let running = 0;
  const action = async () => {
    running += 1;
    t.is(running, 1);
    await sleep(1);
    running -= 1;
  };
  await Promise.all(Array.from({ length: 10 }, () => withLock(runDir, patient, action)));
});

test('the lock of a killed process is taken over at once, by one of those who wait', async (t) => {
  const runDir = folder(t);
  const holder = work(t, runDir, 'hold');
  await once(holder.stdout ?? holder, 'data');
  await t.throwsAsync(
    withLock(runDir, quick, async () => undefined),
    {
      instanceOf: LockError,
      message: new RegExp(`lock: still held by ${holder.pid} .* after 100 ms$`),
    },
  );
  const waiting = Array.from({ length: 4 }, () => work(t, runDir, 'count', '50'));
  await sleep(300);
  t.false(existsSync(`${runDir}/counter`));
  holder.kill('SIGKILL');
  t.deepEqual(await Promise.all(waiting.map(exited)), Array(4).fill(0));
  t.is(readFileSync(`${runDir}/counter`, 'utf8'), '200');
});

test('a pid that belongs to another process now is no holder', async (t) => {
  const runDir = folder(t);
  let own = '';
  await withLock(runDir, quick, async () => {
    own = readFileSync(lockPath(runDir), 'utf8');
  });
  const [pid, start, namespace, boot] = own.split(' ');
  writeFileSync(lockPath(runDir), `${pid} ${Number(start) - 1} ${namespace} ${boot}`);
  t.is(await withLock(runDir, quick, async () => 'done'), 'done');
});

/** A clock that moves on by what a waiter sleeps, and by nothing else. */
function jumping(timeoutMs: number): LockOptions {
  let now = 1_000_000;
  return {
    timeoutMs,
    uptime: () => now,
    sleep: async (ms) => {
      now += ms;
    },
  };
}

for (const content of ['1 1 pid:[1]', '', 'nonsense', '1 1 pid:[1] soon']) {
  test(`a holder of whom nothing can be told (${content || 'empty file'}) is believed for a minute of watching`, async (t) => {
    const runDir = folder(t);
    writeFileSync(lockPath(runDir), content);
    const past = new Date(Date.now() - 3_600_000);
    utimesSync(lockPath(runDir), past, past);
    await t.throwsAsync(
      withLock(runDir, jumping(59_000), async () => undefined),
      { instanceOf: LockError },
    );
    t.is(await withLock(runDir, jumping(62_000), async () => 'done'), 'done');
    t.deepEqual(readdirSync(runDir), []);
  });
}

/** A lock of another pid namespace that was touched `ageMs` ago, while the wall clock was off by `offMs`. */
function foreign(path: string, ageMs: number, offMs: number): void {
  writeFileSync(path, `1 1 pid:[1] ${Math.floor(Date.now() + offMs - uptime())}`);
  const at = (Date.now() + offMs - ageMs) / 1_000;
  utimesSync(path, at, at);
}

for (const offMs of [0, -61_000, 61_000, -86_400_000, 86_400_000]) {
  test(`a holder in another pid namespace is believed for a minute, with the wall clock set by ${-offMs / 1_000} s since`, async (t) => {
    const runDir = folder(t);
    foreign(lockPath(runDir), 50_000, offMs);
    await t.throwsAsync(
      withLock(runDir, quick, async () => undefined),
      { instanceOf: LockError },
    );
    foreign(lockPath(runDir), 61_000, offMs);
    t.is(await withLock(runDir, quick, async () => 'done'), 'done');
    t.deepEqual(readdirSync(runDir), []);
  });
}

test('a live holder goes on by the clock that it began with', async (t) => {
  const runDir = folder(t);
  const clock = { at: uptime() };
  const timers: (() => void)[] = [];
  const original = globalThis.setInterval;
  globalThis.setInterval = ((action: () => void) => {
    timers.push(action);
    return original(() => undefined, 1_000_000);
  }) as typeof setInterval;
  const holding = withLock(runDir, { ...quick, uptime: () => clock.at }, async () => {
    const before = statSync(lockPath(runDir)).mtimeMs;
    clock.at += 15_000;
    for (const touch of timers) {
      touch();
    }
    return statSync(lockPath(runDir)).mtimeMs - before;
  });
  globalThis.setInterval = original;
  const moved = await holding;
  t.true(Math.abs(moved - 15_000) < 100, `${moved}`);
});

test('a guard that a crash left does not block for ever', async (t) => {
  const runDir = folder(t);
  for (const path of [lockPath(runDir), `${lockPath(runDir)}.takeover`]) {
    foreign(path, 61_000, 3_600_000);
  }
  t.is(await withLock(runDir, quick, async () => 'done'), 'done');
  t.deepEqual(readdirSync(runDir), []);
});

test('a lock that another has taken over is not released', async (t) => {
  const runDir = folder(t);
  await withLock(runDir, quick, async () => {
    writeFileSync(lockPath(runDir), '1 1 pid:[1]');
  });
  t.is(readFileSync(lockPath(runDir), 'utf8'), '1 1 pid:[1]');
});

test('an action that fails releases the lock', async (t) => {
  const runDir = folder(t);
  await t.throwsAsync(
    withLock(runDir, quick, () => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  t.deepEqual(readdirSync(runDir), []);
});

test('an abort ends the wait', async (t) => {
  const runDir = folder(t);
  writeFileSync(lockPath(runDir), '');
  const signal = AbortSignal.timeout(50);
  await t.throwsAsync(
    withLock(runDir, { ...patient, signal }, async () => undefined),
    { name: 'TimeoutError' },
  );
  t.true(existsSync(lockPath(runDir)));
});
