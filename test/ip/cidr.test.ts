import { BlockList, isIPv4 } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { canonicalAddress } from '../../src/ip/address.ts';
import { canonicalCidr, overlap } from '../../src/ip/cidr.ts';
import { hostCidr } from '../../src/ip/family.ts';
import { rememberedAddress, rememberedCidr } from '../../src/ip/remembered.ts';

for (const [text, expected] of [
  ['10.1.0.7/24', '10.1.0.0/24'],
  ['FD00:0::1/64', 'fd00::/64'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['::1/0', '::/0'],
  ['10.1.0.0/33', undefined],
  ['10.1.0.0/024', undefined],
  ['10.0.0.0/08', undefined],
  ['10.0.0.0/00', undefined],
  ['fd00::/064', undefined],
  ['fe80::%eth0/64', undefined],
  ['10.1.0.0', undefined],
  ['10.1/16', undefined],
  ['010.1.0.0/24', undefined],
  ['fd00::/129', undefined],
  ['::ffff:10.0.0.0/104', undefined],
  [' 10.1.0.0/24', undefined],
  ['', undefined],
] as const) {
  test(`canonical form of the CIDR ${JSON.stringify(text)}`, (t) => {
    t.is(canonicalCidr(text), expected);
  });
}

test('blanks around what an object holds are allowed, and an answer is the same the second time', (t) => {
  for (const _ of [1, 2]) {
    t.is(rememberedCidr(' FD00:0::1/64 '), 'fd00::/64');
    t.is(rememberedAddress('10.0.0.1\t'), '10.0.0.1');
    t.is(rememberedAddress('10. 0.0.1'), undefined);
  }
});

for (const [text, expected] of [
  ['10.0.0.0/08', '10.0.0.0/8'],
  ['010.010.0.0/016', '10.10.0.0/16'],
  ['fd00::/064', 'fd00::/64'],
  ['::ffff:a00:0/104', undefined],
  ['::ffff:10.0.0.0/104', undefined],
  ['10.0.0.0/33', undefined],
  ['10.0.0.0/', undefined],
  ['10.0.0.0/8/8', undefined],
  ['10.0.0.0/0x8', undefined],
  ['10.0.0.0/-8', undefined],
  ['/8', undefined],
  [`10.0.0.0/${'0'.repeat(100)}8`, undefined],
] as const) {
  test(`the CIDR ${JSON.stringify(text.slice(0, 30))} of an object`, (t) => {
    t.is(rememberedCidr(text), expected);
    t.is(expected ?? '', canonicalCidr(expected ?? '') ?? '');
  });
}

for (const [text, expected] of [
  ['010.0.0.08', '10.0.0.8'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['::FFFF:a00:1', '10.0.0.1'],
  ['::10.0.0.1', '::a00:1'],
  ['010.0.0.256', undefined],
  ['0x0a.0.0.1', undefined],
  ['167772161', undefined],
  ['10.1', undefined],
  ['fe80::1%eth0', undefined],
  [`${' '.repeat(100)}10.0.0.1`, undefined],
] as const) {
  test(`the address ${JSON.stringify(text.trim())} of an object`, (t) => {
    t.is(rememberedAddress(text), expected);
  });
}

test("the canonical form covers the addresses that node's own block list says", (t) => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  const agrees = fc.property(address, address, fc.nat(128), (network, other, bits) => {
    const family = isIPv4(network) ? 'ipv4' : 'ipv6';
    const length = family === 'ipv4' ? bits % 33 : bits;
    const cidr = canonicalCidr(`${network}/${length}`);
    if (cidr === undefined) {
      return network.includes(':') && network.includes('.');
    }
    const list = new BlockList();
    list.addSubnet(network, length, family);
    const canonical = canonicalAddress(other) ?? '';
    const covered = isIPv4(other) === (family === 'ipv4') && list.check(other, family);
    return overlap(cidr, hostCidr(canonical)) === covered && canonicalCidr(cidr) === cidr;
  });
  t.notThrows(() => fc.assert(agrees));
});
