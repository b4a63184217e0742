import test from 'ava';
import type { Logger } from 'pino';
import { createProblemLog } from '../../../src/agent/loop/problem-log.ts';
import { BOUNDS } from '../../../src/cluster/bounds.ts';

function logging() {
  const lines: string[] = [];
  const note =
    (level: string) =>
    ({ problem }: { problem: string }) =>
      void lines.push(`${level} ${problem}`);
  const log = { warn: note('warn'), info: note('info') } as unknown as Logger;
  return { lines, note: createProblemLog(log) };
}

const problem = (where: string) => ({ where, message: 'is wrong' });

test('a problem is logged when it appears and when it is gone', (t) => {
  const { lines, note } = logging();
  t.deepEqual(note([problem('Pod ns/a')]), ['Pod ns/a: is wrong']);
  note([problem('Pod ns/a'), problem('Pod ns/b')]);
  note([problem('Pod ns/b')]);
  t.deepEqual(lines, ['warn Pod ns/a: is wrong', 'warn Pod ns/b: is wrong', 'info Pod ns/a: is wrong']);
});

test('of any number of problems the first are told, those of policies and Nodes before all', (t) => {
  const { lines, note } = logging();
  const many = Array.from({ length: 40_000 }, (_, index) => problem(`EndpointSlice ns/${index}`));
  const started = performance.now();
  const told = note([...many, problem('IPsecPolicy p'), { where: 'a', message: 'Node a: is wrong' }]);
  note([...many, problem('IPsecPolicy p')]);
  t.true(performance.now() - started < 1_000);
  t.is(told.length, BOUNDS.told.elements);
  t.deepEqual(told.slice(0, 3), [
    'IPsecPolicy p: is wrong',
    'a: Node a: is wrong',
    'EndpointSlice ns/0: is wrong',
  ]);
  t.is(told.at(-1), `${40_002 - BOUNDS.told.elements + 1} more objects are not in force as written`);
  t.true(lines.length <= 2 * BOUNDS.told.elements);
});

test('what ends in a log or on a terminal has no control characters, and an end', (t) => {
  const [text = ''] = logging().note([{ where: 'Node \u001b[2J\n', message: 'x'.repeat(100_000) }]);
  t.true(text.startsWith('Node \\u{1b}[2J\\u{a}: xxx'));
  t.true(text.length < 1_000);
});
