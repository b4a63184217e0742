import test from 'ava';
import * as fc from 'fast-check';
import { checksum, minus, plus } from '../../../../src/ipsec/xfrm/compare/checksum.ts';
import { policies, policy, selector } from '../policies.ts';

test('property: policies that differ have different checksums, and equal ones the same', (t) => {
  fc.assert(
    fc.property(policies, policies, (a, b) => {
      t.is(checksum(a) === checksum(b), JSON.stringify(a) === JSON.stringify(b));
      t.is(checksum(structuredClone(a)), checksum(a));
      t.true(Number.isSafeInteger(checksum(a)) && checksum(a) >= 0 && checksum(a) < 2 ** 52);
    }),
  );
});

test('every field counts', (t) => {
  const others = [
    { dir: 'fwd' },
    { selector: selector({ src: '10.1.0.4/32' }) },
    { selector: selector({ dst: '10.3.0.0/24' }) },
    { selector: selector({ proto: 'tcp' }) },
    { selector: selector({ sport: 54 }) },
    { selector: selector({ dport: 1 }) },
    { priority: 1_150 },
    { src: '192.168.0.3' },
    { dst: '192.168.0.3' },
    { reqid: 10_000_002 },
    { level: 'use' },
    { spi: 1 },
  ] as const;
  const sums = [{}, ...others].map((parts) => checksum(policy(parts)));
  t.is(new Set(sums).size, others.length + 1);
});

test('property: a sum has no order, and what was added can be taken away', (t) => {
  const numbers = fc.array(policies.map(checksum), { maxLength: 20 });
  fc.assert(
    fc.property(numbers, fc.infiniteStream(fc.boolean()), (list, coin) => {
      const sum = list.reduce(plus, 0);
      t.is([...list].reverse().reduce(plus, 0), sum);
      const kept = list.filter(() => coin.next().value);
      const gone = list.filter((_, index) => !kept.includes(list[index] ?? -1));
      t.is(gone.reduce(minus, sum), list.filter((one) => kept.includes(one)).reduce(plus, 0));
    }),
  );
});
