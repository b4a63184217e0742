import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { createPinning } from '../../../src/agent/charon/pinning.ts';

const REQID = 10_000_001;

test('pinned until the child has come up and the initiator has it, too', async (t) => {
  let changes = 0;
  const pinning = createPinning({ installMs: 20, lastMs: 10_000 }, () => {
    changes += 1;
  });
  pinning.add(new Map([[REQID, 0xc1]]));
  t.is(pinning.pins().get(REQID), 0xc1);
  pinning.cameUp(REQID + 1);
  pinning.cameUp(REQID);
  t.is(pinning.pins().size, 1);
  await sleep(60);
  t.is(pinning.pins().size, 0);
  t.is(changes, 2);
});

test('a pin ends by itself, with the SA, and with the session', async (t) => {
  const pinning = createPinning({ installMs: 20, lastMs: 20 }, () => undefined);
  pinning.add(new Map([[REQID, 0xc1]]));
  await sleep(60);
  t.is(pinning.pins().size, 0);
  pinning.add(new Map([[REQID, 0xc2]]));
  pinning.unpin(REQID, 0xc1);
  t.is(pinning.pins().size, 1, 'another SA');
  pinning.unpin(REQID, 0xc2);
  t.is(pinning.pins().size, 0);
  pinning.add(new Map([[REQID, 0xc3]]));
  pinning.stop();
  t.is(pinning.pins().size, 0);
});
