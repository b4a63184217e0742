import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import fc from 'fast-check';
import { createModeller } from '../../src/agent/model/modeller.ts';
import { LIVES } from './examples.ts';
import { forgotten, lives } from './lives.ts';
import { effort } from './plans.ts';
import { startWith } from './start.ts';

/**
 * Memory (docs/trust.md): what was required once on the node that serves it stays required, whatever edit
 * breaks, whoever is renamed, deleted, replaced, malformed or missing for a while, and however often the
 * agent is restarted, until it is withdrawn: by an edit that is valid as a whole, or by the deletion of the
 * policy.
 */

test('what was required stays required until it is withdrawn', async (t) => {
  const counted = { flows: 0 };
  const { numRuns, ...seeded } = effort(10_000);
  t.timeout(60_000 + 60 * numRuns);
  // The property keeps the event loop busy: before it, ava has to learn of that time.
  await setTimeout(20);
  fc.assert(
    fc.property(lives, (life) => {
      const wrong = forgotten(life, startWith(createModeller), counted);
      if (wrong !== undefined) {
        throw new Error(wrong);
      }
    }),
    { numRuns, ...seeded, examples: LIVES, includeErrorInReport: true },
  );
  t.log(`${counted.flows} times something had to stay required`);
  t.true(counted.flows > numRuns);
});
