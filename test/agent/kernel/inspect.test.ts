import test from 'ava';
import { keepInspecting } from '../../../src/agent/kernel/inspect.ts';

/** Waits between inspections that take so long each, and what the agent is woken for. */
async function inspections(
  tookMs: number,
  answers: readonly (boolean | Error)[],
): Promise<{ waits: number[]; woken: (string | undefined)[] }> {
  const abort = new AbortController();
  const [waits, woken]: [number[], (string | undefined)[]] = [[], []];
  const left = [...answers];
  let now = 0;
  const inspecting = {
    kernel: {
      intact: async () => {
        now += tookMs;
        const answer = left.shift();
        if (answer instanceof Error) {
          throw answer;
        }
        return answer ?? true;
      },
    },
    wake: { notify: (scope?: string) => void woken.push(scope), wait: async () => undefined },
    sleep: async (ms: number) => {
      waits.push(ms);
      if (left.length === 0) {
        abort.abort();
      }
    },
    now: () => now,
  };
  await keepInspecting(inspecting, abort.signal);
  return { waits, woken };
}

test('a small table is inspected every 30 s, one that takes long every 500 times as long, all within 5 minutes', async (t) => {
  for (const [tookMs, next] of [
    [5, 30_000],
    [60, 30_000],
    [100, 50_000],
    [10_000, 300_000],
  ] as const) {
    t.deepEqual((await inspections(tookMs, [true])).waits, [30_000, next]);
  }
});

test('everything is compared after a table that is not as it was laid, or cannot be read', async (t) => {
  t.deepEqual((await inspections(1, [true, true])).woken, []);
  t.deepEqual((await inspections(1, [true, false])).woken, ['all']);
  t.deepEqual((await inspections(1, [new Error('no'), true])).woken, ['all']);
});
