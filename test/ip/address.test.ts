import test from 'ava';
import fc from 'fast-check';
import { canonicalAddress, formatAddress, parseAddress } from '../../src/ip/address.ts';
import { type Family, widthOf } from '../../src/ip/family.ts';

for (const [text, expected] of [
  ['10.0.0.1', '10.0.0.1'],
  ['FD00:0:0::1', 'fd00::1'],
  ['fd00:0:0:1:0:0:0:1', 'fd00:0:0:1::1'],
  ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ['010.0.0.1', undefined],
  ['256.0.0.1', undefined],
  ['0x7f.0.0.1', undefined],
  ['::ffff:010.0.0.1', undefined],
  ['fd00::00001', undefined],
  ['1', undefined],
  ['', undefined],
  [' 10.0.0.1', undefined],
  ['10.0.0.1/32', undefined],
  ['node.example', undefined],
  ['fe80::1%eth0', undefined],
] as const) {
  test(`canonical form of the address ${JSON.stringify(text)}`, (t) => {
    t.is(canonicalAddress(text), expected);
  });
}

test('a number and its text form name the same address', (t) => {
  const address = fc
    .constantFrom<Family>(4, 6)
    .chain((family) =>
      fc.bigInt(0n, (1n << BigInt(widthOf(family))) - 1n).map((value) => ({ family, value })),
    );
  fc.assert(fc.property(address, (one) => t.deepEqual(parseAddress(formatAddress(one)), one)));
});
