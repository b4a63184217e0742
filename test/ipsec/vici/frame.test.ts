import test from 'ava';
import fc from 'fast-check';
import { encodeFrame, FrameReader, MAX_PACKET_BYTES } from '../../../src/ipsec/vici/frame.ts';

test('packets come out whole, however the stream is cut', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (packets, cuts) => {
        const stream = Buffer.concat(packets.map(encodeFrame));
        const reader = new FrameReader();
        const read: string[] = [];
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const length = cuts[i % cuts.length] ?? 1;
          read.push(
            ...reader.push(stream.subarray(at, at + length)).map((one) => Buffer.from(one).toString('hex')),
          );
          at += length;
        }
        t.deepEqual(
          read,
          packets.map((one) => Buffer.from(one).toString('hex')),
        );
      },
    ),
  );
  t.pass();
});

test('the longest packet passes, one byte more is refused on both sides', (t) => {
  const longest = new Uint8Array(MAX_PACKET_BYTES);
  t.is(new FrameReader().push(encodeFrame(longest))[0]?.length, MAX_PACKET_BYTES);
  t.throws(() => encodeFrame(new Uint8Array(MAX_PACKET_BYTES + 1)), { message: /524289 bytes/ });
  t.throws(() => new FrameReader().push(Uint8Array.of(0, 8, 0, 1)), { message: /length 524289/ });
});
