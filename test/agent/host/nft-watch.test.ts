import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createGuard } from '../../../src/agent/host/guard.ts';
import { watchTables } from '../../../src/agent/host/nft-watch.ts';
import { unguardedPath } from '../../../src/rundir/paths.ts';

/** How often the watch tells of a change, beyond what it does until it hears, of what the monitor prints in these pieces. */
async function changesOf(pieces: readonly string[]): Promise<number> {
  const stop = new AbortController();
  let changes = 0;
  let before = 0;
  await watchTables(
    {
      run: async () => ({ exitCode: 0, stdout: '', stderr: '' }),
      stream: async (_command, take) => {
        await take('add table ip other\n');
        before = changes;
        for (const piece of pieces) {
          await take(piece);
        }
        stop.abort();
        return { exitCode: 0, stderr: '' };
      },
      nft: '/usr/sbin/nft',
      sleep: async () => undefined,
      now: () => 0,
      onChange: () => {
        changes += 1;
      },
      onDown: () => undefined,
    },
    stop.signal,
  );
  return changes - before;
}

const changes = test.macro<[string[], number]>({
  exec: async (t, pieces, expected) => t.is(await changesOf(pieces), expected),
  title: (title) => `nft events: ${title}`,
});

test('our table is gone', changes, ['delete table inet trapline\n'], 1);
test('our rule', changes, ['delete rule inet trapline-defrag reassemble handle 2\n'], 1);
test('cut anywhere', changes, ['delete ta', 'ble inet trap', 'line\n'], 1);
test('events were lost', changes, ['# ERROR: No buffer space available\n'], 1);
test('others', changes, ['delete table inet traplines\nadd rule ip kube svc ip daddr 10.0.0.1\n'], 0);
test('our probe', changes, ['add table inet trapline-probe\ndelete table inet trapline-probe\n'], 0);
test('a comment of others', changes, ['add rule ip x y comment "delete table inet trapline"\n'], 0);
test(
  'a very long line of others',
  changes,
  [`add element ip x y { ${'1'.repeat(300)}`, ' add table inet trapline\n'],
  0,
);

test('nft events: a monitor that ends is started again, ever later, and the tables are looked at meanwhile', async (t) => {
  const stop = new AbortController();
  let now = 0;
  const started: number[] = [];
  const looks: number[] = [];
  const down: string[] = [];
  await watchTables(
    {
      run: async () => ({ exitCode: 0, stdout: '', stderr: '' }),
      stream: async () => {
        started.push(now);
        if (started.length === 12) {
          stop.abort();
        }
        return { exitCode: 2, stderr: 'Memory allocation failure' };
      },
      nft: '/usr/sbin/nft',
      sleep: async (ms) => {
        now += ms;
      },
      now: () => now,
      onChange: () => void looks.push(now),
      onDown: (reason) => void down.push(reason),
    },
    stop.signal,
  );
  const pauses = started.slice(1).map((at, index) => at - (started[index] ?? 0));
  // It is looked at once, for a second, before it is seen that the monitor has ended.
  t.deepEqual(
    pauses.map((ms) => ms - 1_000),
    [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000],
  );
  t.true(looks.every((at, index) => index === 0 || at - (looks[index - 1] ?? 0) <= 1_000));
  t.deepEqual(down, ['nft monitor: Memory allocation failure'], 'told once');
});

test('the mark has the reason, is written when that changes, and a mark of before goes', (t) => {
  const runDir = mkdtempSync(join(tmpdir(), 'trapline-guard-'));
  t.teardown(() => rmSync(runDir, { recursive: true, force: true }));
  const path = unguardedPath(runDir);
  const lines: string[] = [];
  let now = 0;
  const guardOf = (): ReturnType<typeof createGuard> =>
    createGuard(runDir, { warn: ({ problem }) => void lines.push(problem) }, () => now);
  const guard = guardOf();
  guard.mark('not there:\n x');
  t.is(readFileSync(path, 'utf8'), 'not there: x\n');
  guard.mark('other');
  t.is(readFileSync(path, 'utf8'), 'other\n');
  guardOf().unmark();
  t.false(existsSync(path));
  for (now = 0; now < 20_000; now += 100) {
    guard.onLost('gone');
  }
  t.is(lines.length, 2, 'once in 10 s');
});
