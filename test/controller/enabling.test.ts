import test from 'ava';
import type { Reached } from '../../src/cluster/contract/phases.ts';
import { type EnablingState, type NodePhase, nextPhase } from '../../src/controller/enabling.ts';

const LIMIT_MS = 7_000;
const time = (now: number) => ({ now, limitMs: LIMIT_MS });
const policy = { uid: 'u', generation: 3 };
const at = (phase: EnablingState['phase'], since = 0): EnablingState => ({ ...policy, phase, since });
const nodes = (...reached: Reached[]): NodePhase[] =>
  reached.map((one, index) => ({ node: `n${index}`, reached: one }));

test('it begins with Accepting, and anew with each generation and each uid', (t) => {
  t.is(nextPhase(undefined, policy, nodes('require'), time(5)).phase, 'Accepting');
  t.deepEqual(
    nextPhase({ ...at('Required'), generation: 2 }, policy, nodes('require'), time(5)),
    at('Accepting', 5),
  );
  t.is(nextPhase({ ...at('Required'), uid: 'other' }, policy, nodes('require'), time(5)).phase, 'Accepting');
});

const step = test.macro<[EnablingState['phase'], NodePhase[], EnablingState['phase']]>({
  exec: (t, before, reports, expected) =>
    t.is(nextPhase(at(before), policy, reports, time(1)).phase, expected),
  title: (title) => `a step: ${title}`,
});
test('not before every node accepts', step, 'Accepting', nodes('accept', 'none'), 'Accepting');
test('every node accepts', step, 'Accepting', nodes('accept', 'require'), 'Sending');
test('not before every node sends', step, 'Sending', nodes('send', 'accept'), 'Sending');
test('every node sends', step, 'Sending', nodes('send', 'send'), 'Required');
test('there is none after Required', step, 'Required', nodes('accept'), 'Required');
test('no node reports', step, 'Accepting', [], 'Accepting');

test('a node that does not take the step holds nobody up for long', (t) => {
  const reports = nodes('accept', 'none');
  t.is(nextPhase(at('Accepting'), policy, reports, time(LIMIT_MS - 1)).phase, 'Accepting');
  t.deepEqual(nextPhase(at('Accepting'), policy, reports, time(LIMIT_MS)), at('Sending', LIMIT_MS));
});

test('a clock that was set back does not make a phase last longer than the limit', (t) => {
  const back = nextPhase(at('Accepting', 86_400_000), policy, nodes('none'), time(5));
  t.deepEqual(back, at('Accepting', 5));
  t.is(nextPhase(back, policy, nodes('none'), time(5 + LIMIT_MS)).phase, 'Sending');
});
