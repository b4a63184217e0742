import test from 'ava';
import { createStuckTraps, STUCK_MS } from '../../../src/ipsec/charon/stuck.ts';

const ignored = (reqid: number): string => `ignoring acquire for reqid ${reqid}, connection attempt pending`;

test('a trap is stuck when its acquires are ignored for longer than an attempt takes, and is told once', (t) => {
  const traps = createStuckTraps();
  t.is(traps.note(ignored(7), 0), undefined);
  t.is(traps.note(ignored(8), STUCK_MS - 1), undefined);
  t.is(traps.note(ignored(7), STUCK_MS - 1), undefined);
  t.is(traps.note(ignored(7), STUCK_MS), 7);
  t.is(traps.note(ignored(7), STUCK_MS + 1), undefined);
  t.is(traps.note(ignored(8), 2 * STUCK_MS - 1), 8);
});

test('not where the attempt came to something in between', (t) => {
  const traps = createStuckTraps();
  traps.note(ignored(7), 0);
  traps.moved(7);
  t.is(traps.note(ignored(7), STUCK_MS), undefined);
});

test('other lines say nothing', (t) => {
  const traps = createStuckTraps();
  t.is(traps.note('creating acquire job for policy with reqid {7}', 0), undefined);
  t.is(traps.note('creating acquire job for policy with reqid {7}', STUCK_MS), undefined);
});
