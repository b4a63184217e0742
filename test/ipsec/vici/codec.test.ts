import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { decodeMessage } from '../../../src/ipsec/vici/decode.ts';
import { encodeMessage } from '../../../src/ipsec/vici/encode.ts';
import type { ViciError } from '../../../src/ipsec/vici/error.ts';
import type { ViciMessage } from '../../../src/ipsec/vici/message.ts';
import { decodePacket, encodePacket } from '../../../src/ipsec/vici/packet.ts';
import { golden } from '../../helpers/unit/root.ts';

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** The encoding example of README.vici. */
const EXAMPLE = {
  key1: 'value1',
  section1: { 'sub-section': { key2: 'value2' }, list1: ['item1', 'item2'] },
};
const EXAMPLE_BYTES = hex(
  '03 04 6b657931 0006 76616c756531  01 08 73656374696f6e31  01 0b 7375622d73656374696f6e' +
    '03 04 6b657932 0006 76616c756532  02  04 05 6c69737431 05 0005 6974656d31 05 0005 6974656d32 06 02',
);

test('the example of README.vici', (t) => {
  t.deepEqual(Buffer.from(encodeMessage(EXAMPLE)), Buffer.from(EXAMPLE_BYTES));
  t.deepEqual(decodeMessage(EXAMPLE_BYTES), EXAMPLE);
});

test('packets of a client', (t) => {
  const bytes = (packet: Parameters<typeof encodePacket>[0]) =>
    Buffer.from(encodePacket(packet)).toString('hex');
  t.is(bytes({ type: 'request', name: 'version', message: {} }), '000776657273696f6e');
  t.is(bytes({ type: 'register', name: 'log' }), '03036c6f67');
  t.is(bytes({ type: 'unregister', name: 'log' }), '04036c6f67');
});

for (const file of ['list-sas', 'list-conns', 'list-policies', 'version', 'stats', 'unknown', 'updown']) {
  test(`what charon 5.9.8 sent decodes and encodes to the same bytes: ${file}`, (t) => {
    const lines = readFileSync(golden(`ipsec/vici/golden/${file}.hex`), 'utf8')
      .trim()
      .split('\n');
    for (const line of lines) {
      t.is(Buffer.from(encodePacket(decodePacket(hex(line)))).toString('hex'), line);
    }
  });
}

const broken = test.macro<[packet: string, message: RegExp]>({
  title: (_title, packet, message) => `broken packet ${packet}: ${message.source}`,
  exec(t, packet, message) {
    const error = t.throws<ViciError>(() => decodePacket(hex(packet)), { name: 'ViciError', message });
    t.is(error?.reason, 'malformed');
  },
});

test(broken, '', /offset 0: packet type has 1 bytes, only 0/);
test(broken, '00', /offset 0: packet type 0 is not one that charon sends/);
test(broken, '09', /packet type 9/);
test(broken, '07', /offset 1: length of event name/);
test(broken, '0705 6c6f', /offset 2: event name has 5 bytes, only 2/);
test(broken, '0702 ff00', /offset 2: event name is not text/);
test(broken, '01 03 04 6b65', /offset 3: key has 4 bytes, only 2/);
test(broken, '01 03 01 6b 00', /length of value of k/);
test(broken, '01 03 01 6b 0002 61', /offset 6: value of k has 2 bytes, only 1/);
test(broken, '01 01 01 73', /offset 4: section s has no end/);
test(broken, '01 02', /offset 1: end of a section that was never begun/);
test(broken, '01 04 01 6c', /offset 4: list l has no end/);
test(broken, '01 04 01 6c 03 01 6b', /offset 4: element type 3 in list l/);
test(broken, '01 05 0000', /offset 1: element type 5 has no place here/);
test(broken, '01 06', /element type 6/);
test(broken, '01 63', /element type 99/);
test(broken, '01 03 01 6b 0000 03 01 6b 0000', /offset 6: k occurs twice in the message/);

const tooLong = test.macro<[message: ViciMessage, expected: RegExp]>((t, message, expected) => {
  const error = t.throws<ViciError>(() => encodeMessage(message), { name: 'ViciError', message: expected });
  t.is(error?.reason, 'too-long');
});

test('a name of 256 bytes', tooLong, { ['é'.repeat(128)]: '' }, /name of 256 bytes/);
test('a value of 65536 bytes', tooLong, { key: new Uint8Array(65_536) }, /value of key has 65536 bytes/);

test('names of 255 and values of 65535 bytes fit', (t) => {
  const message = { ['n'.repeat(255)]: 'v'.repeat(65_535) };
  t.deepEqual(decodeMessage(encodeMessage(message)), message);
});

test('bytes that are no text stay bytes', (t) => {
  const data = Uint8Array.of(0x30, 0x82, 0xff, 0x00);
  t.deepEqual(decodeMessage(encodeMessage({ data })), { data });
});

const key = fc
  .string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
  .filter((name) => !/^\d+$/.test(name));
const { message } = fc.letrec<{ message: ViciMessage }>((tie) => ({
  message: fc.dictionary(
    key,
    fc.oneof({ maxDepth: 4 }, fc.string({ unit: 'grapheme' }), fc.array(fc.string()), tie('message')),
    { maxKeys: 6, noNullPrototype: true },
  ),
}));

test('decode undoes encode, in the same order', (t) => {
  fc.assert(
    fc.property(message, (one) => {
      const decoded = decodeMessage(encodeMessage(one));
      t.deepEqual(decoded, one);
      t.is(JSON.stringify(decoded), JSON.stringify(one));
    }),
  );
  t.pass();
});

test('arbitrary bytes decode or are refused as malformed', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decodePacket(bytes);
      } catch (error) {
        t.is((error as ViciError).reason, 'malformed');
      }
    }),
  );
  t.pass();
});
