import test from 'ava';
import * as fc from 'fast-check';
import type { XfrmPolicy } from '../../../../src/ipsec/plan/types.ts';
import { CELLS, createSums } from '../../../../src/ipsec/xfrm/compare/sums.ts';
import { policies, policy, selector } from '../policies.ts';

const at = (dst: string, priority = 1_000): XfrmPolicy => policy({ selector: selector({ dst }), priority });
const [ONE, TWO, THREE] = [at('10.3.0.0/24'), at('10.4.0.0/24'), at('10.5.0.0/24')];

test('property: a set is like itself in any order, and unlike one of which a policy is missing or another one', (t) => {
  fc.assert(
    fc.property(fc.array(policies, { minLength: 1, maxLength: 20 }), policies, (set, other) => {
      const offAfter = (seen: readonly XfrmPolicy[]): number => {
        const comparison = createSums(set).compare();
        seen.forEach(comparison.see);
        return comparison.result().off.size;
      };
      t.is(offAfter([...set].reverse()), 0);
      t.is(offAfter(set.slice(1)), 1);
      t.not(offAfter([...set, other]), 0);
    }),
  );
});

test('nothing is said of what changes during a comparison, and all that does not is compared', (t) => {
  const sums = createSums([ONE, TWO]);
  const comparison = sums.compare();
  comparison.see(ONE);
  comparison.see(at('10.4.0.0/24', 1_001));
  sums.remove(ONE);
  sums.add(THREE);
  const { off, changed } = comparison.result();
  t.is(off.size, 1);
  t.false(changed([...off][0] ?? CELLS));

  const next = sums.compare();
  next.see(TWO);
  next.see(THREE);
  t.is(next.result().off.size, 0);
});

test('a change that is taken back is a change', (t) => {
  const sums = createSums([ONE]);
  const comparison = sums.compare();
  sums.remove(ONE);
  sums.add(ONE);
  t.is(comparison.result().off.size, 0);
});

test('the policies of a pod towards 1,000 nodes, and those of 250 pods towards one, are in few of the cells', (t) => {
  const cells = (all: readonly XfrmPolicy[]): number => {
    const sums = createSums([]);
    const comparison = sums.compare();
    all.forEach(sums.add);
    const { changed } = comparison.result();
    return [...Array(CELLS).keys()].filter(changed).length;
  };
  const nodes = Array.from({ length: 1_000 }, (_, n) => at(`10.${n >> 8}.${n & 255}.0/24`));
  const pods = Array.from({ length: 250 }, (_, n) =>
    policy({ selector: selector({ src: `10.1.0.${n}/32` }) }),
  );
  t.true(cells(nodes) > 900 && cells(nodes) <= 1_000, `${cells(nodes)}`);
  t.true(cells(pods) > 200 && cells(pods) <= 250, `${cells(pods)}`);
});
