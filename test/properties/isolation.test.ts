import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import fc from 'fast-check';
import { FAULTS } from './examples.ts';
import { faults, judgeFault } from './faults.ts';
import { effort } from './plans.ts';

/**
 * Isolation of faults (docs/trust.md): one object of which any field is anything, and everything that does
 * not come from that object stays as strict as it was, on every node: policies, and the children that are
 * there. Nothing throws, nothing is made that kernel, charon or plugin could not read, and a problem names
 * the object.
 *
 * What does not come from an object is what is there with it and without it. No problem is asked for where
 * the new value may be meant: another word at the place of a word, or a field that is left out. Names,
 * namespaces and uids are the API server's to check.
 */

test('one malformed object changes nothing that does not come from it', async (t) => {
  let felt = 0;
  const { numRuns, ...seeded } = effort(10_000);
  t.timeout(60_000 + 60 * numRuns);
  // The property keeps the event loop busy: before it, ava has to learn of that time.
  await setTimeout(20);
  fc.assert(
    fc.property(faults, (fault) => {
      const judged = judgeFault(fault);
      felt += judged.felt ? 1 : 0;
      if (judged.wrong !== undefined) {
        throw new Error(judged.wrong);
      }
    }),
    { numRuns, ...seeded, examples: FAULTS, includeErrorInReport: true },
  );
  t.log(`${felt} faults were felt`);
  t.true(felt > numRuns / 10, 'the property says something only where faults are felt');
});
