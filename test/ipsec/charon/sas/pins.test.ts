import test from 'ava';
import { isAnnouncement, pin, pinsFor } from '../../../../src/ipsec/charon/sas/pins.ts';
import { samePolicy } from '../../../../src/ipsec/xfrm/kernel-policy.ts';
import { childSa, ikeSa } from '../../../helpers/charon/values.ts';
import { policy } from '../../xfrm/policies.ts';

const REQID = 10_000_001;
const child = (change: object) => childSa({ reqid: REQID, state: 'INSTALLED', ...change });
const sa = (uniqueId: number, change: object = {}) =>
  ikeSa({ uniqueId, connection: 'k8s-node-b', initiator: false, children: [], ...change });

test('of each child the newest SA', (t) => {
  const children = [
    child({ spiOut: 1, installedFor: 90 }),
    child({ spiOut: 2, installedFor: 3 }),
    child({ reqid: REQID + 1, spiOut: 3, installedFor: 9 }),
    child({ reqid: 7, spiOut: 4 }),
    child({ reqid: REQID + 2, spiOut: 5, state: 'DELETING' }),
  ];
  const other = sa(2, { connection: 'k8s-node-c', children: [child({ spiOut: 9, installedFor: 1 })] });
  t.deepEqual(
    [...pinsFor('k8s-node-b', [sa(1, { children }), other])],
    [
      [REQID, 2],
      [REQID + 1, 3],
    ],
  );
});

test('a new IKE_SA of the peer without children announces some; one with a child, and one of ours, does not', (t) => {
  t.true(isAnnouncement(2, [sa(1), sa(2)]));
  t.false(isAnnouncement(2, [sa(2, { children: [child({})] })]));
  t.false(isAnnouncement(2, [sa(2, { initiator: true })]));
  t.false(isAnnouncement(3, [sa(2)]));
});

test('only what is sent, with the reqid, is held to the SA', (t) => {
  const [out, input, other] = [
    policy({ dir: 'out', reqid: REQID }),
    policy({ dir: 'fwd', reqid: REQID }),
    policy({ dir: 'out', reqid: REQID + 1 }),
  ];
  const held = [out, input, other].map((one) => pin(one, new Map([[REQID, 0xc1]])));
  t.deepEqual(
    held.map(({ template }) => template.spi),
    [0xc1, undefined, undefined],
  );
  t.true(samePolicy(out, held[0] ?? other), 'CHECK takes it for the same');
  t.is(pin(out, new Map()), out);
});
