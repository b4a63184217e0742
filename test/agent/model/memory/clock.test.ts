import test from 'ava';
import { DEPARTED_MS } from '../../../../src/agent/model/departed.ts';
import { cacheAnew } from '../../../../src/agent/model/memory/accepted.ts';
import { steadyClock } from '../../../../src/util/steady-clock.ts';
import { lastingNode } from '../../../helpers/unit/lasting-node.ts';
import { item, node, policy, service } from '../../../helpers/unit/objects.ts';

const HOURS = 5 * 3_600_000;

test('the clock does not see a step of the wall clock', (t) => {
  const time = { wall: 1_700_000_000_000, monotonic: 5 };
  const now = steadyClock(
    () => time.wall,
    () => time.monotonic,
  );
  t.is(now(), 1_700_000_000_000);
  time.wall -= HOURS;
  time.monotonic += 7;
  t.is(now(), 1_700_000_000_007);
});

const world = {
  services: [service('web', [{ port: 80 }])],
  policies: [policy('p', item('web', 'tcp/80'))],
  nodes: ['a', 'b', 'c', 'd'].map((name) => node(name)),
};
const less = {
  ...world,
  nodes: [node('a', { spec: { podCIDRs: ['10.9.9.0/24'] } }), node('b'), node('c')],
};

for (const wall of [-HOURS, 0, HOURS]) {
  test(`what is remembered for a while: over a restart while the clock is set by ${wall}`, (t) => {
    const one = lastingNode();
    one.see(world);
    one.see(less);
    one.restart(wall);
    const count = (): number[] => {
      const { departed = [], node: own } = one.see(less);
      return [departed.length, own.formerCidrs?.length ?? 0];
    };
    t.deepEqual(count(), [1, 1], 'not forgotten at once');
    one.wait(DEPARTED_MS - 1);
    t.false(one.due());
    t.deepEqual(count(), [1, 1]);
    one.wait(1);
    t.true(one.due());
    t.deepEqual(count(), [0, 0], 'nor kept for ever');
  });
}

test('a restart half-way leaves the other half', (t) => {
  const one = lastingNode();
  one.see(world);
  one.see(less);
  one.wait(DEPARTED_MS / 2);
  one.see(less);
  one.restart();
  one.see(less);
  one.wait(DEPARTED_MS / 2 - 1);
  t.is(one.see(less).departed?.length, 1);
  one.wait(1);
  t.is(one.see(less).departed, undefined);
});

test('a limit that makes no sense is left whole: the wall clock was set while the agent ran', (t) => {
  const one = lastingNode();
  one.see(world);
  const cache = one.see(less);
  for (const writtenAt of [cache.writtenAt - HOURS, cache.writtenAt + HOURS]) {
    const now = writtenAt + 1_000;
    const { departed, node: own } = cacheAnew({ ...cache, writtenAt }, now) ?? {};
    t.deepEqual([departed?.[0]?.until, own?.formerCidrs?.[0]?.until], [now + DEPARTED_MS, now + DEPARTED_MS]);
  }
});
