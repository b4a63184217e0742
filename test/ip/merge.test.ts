import test from 'ava';
import fc from 'fast-check';
import { overlap } from '../../src/ip/cidr.ts';
import { mergeCidrs } from '../../src/ip/merge.ts';

const merged = test.macro<[string[], string[]]>({
  exec: (t, given, expected) => t.deepEqual(mergeCidrs(given), { cidrs: expected, refused: [] }),
  title: (title) => `merged: ${title}`,
});

test('a part and the whole', merged, ['10.2.0.128/25', '10.2.0.0/24'], ['10.2.0.0/24']);
test('halves', merged, ['10.2.0.128/25', '10.2.0.0/25'], ['10.2.0.0/24']);
test('neighbours that are no halves', merged, ['10.2.2.0/24', '10.2.1.0/24'], ['10.2.1.0/24', '10.2.2.0/24']);
test('everything', merged, ['0.0.0.0/0', '10.0.0.0/8', '::/1', '8000::/1'], ['0.0.0.0/0', '::/0']);
test('the last address', merged, ['255.255.255.255/32', '255.255.255.254/32'], ['255.255.255.254/31']);
test(
  'repeated, families apart',
  merged,
  ['fd00::/64', '10.2.0.0/24', '10.2.0.0/24'],
  ['10.2.0.0/24', 'fd00::/64'],
);
test('none', merged, [], []);

test('merged: what is no CIDR is refused, once, and the rest is taken', (t) => {
  t.deepEqual(mergeCidrs(['x', '10.2.0.0/24', '10.2.0.0/33', 'x', '1.2.3.4', 'fd00::/129']), {
    cidrs: ['10.2.0.0/24'],
    refused: ['x', '10.2.0.0/33', '1.2.3.4', 'fd00::/129'],
  });
});

/** CIDRs in a space of 64 addresses of each family, so that nearly all touch one another. */
const small = fc
  .tuple(fc.constantFrom(4 as const, 6 as const), fc.nat(63), fc.nat(6))
  .map(([family, host, free]) => {
    const network = (host >> free) << free;
    return family === 4 ? `10.0.0.${network}/${32 - free}` : `fd00::${network.toString(16)}/${128 - free}`;
  });

function addressesIn(cidrs: readonly string[]): string[] {
  const hosts = [...Array(64).keys()];
  const all = hosts.flatMap((host) => [`10.0.0.${host}/32`, `fd00::${host.toString(16)}/128`]);
  return all.filter((address) => cidrs.some((cidr) => overlap(cidr, address)));
}

test('merged: the same addresses, no overlap, sorted, and as few as can be', (t) => {
  fc.assert(
    fc.property(fc.array(small, { maxLength: 12 }), (given) => {
      const { cidrs } = mergeCidrs(given);
      t.deepEqual(addressesIn(cidrs), addressesIn(given));
      for (const [index, cidr] of cidrs.entries()) {
        t.false(cidrs.slice(index + 1).some((other) => overlap(cidr, other)));
      }
      t.deepEqual(mergeCidrs([...given].reverse()).cidrs, cidrs, 'whatever the order');
      // Two halves of one CIDR side by side would be one too many.
      for (const [index, cidr] of cidrs.entries()) {
        const [, bits] = cidr.split('/');
        const [network, others] = cidrs[index + 1]?.split('/') ?? [];
        if (bits === others && bits !== '0') {
          const { cidrs: parent } = mergeCidrs([cidr, `${network}/${others}`]);
          t.is(parent.length, 2);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});
