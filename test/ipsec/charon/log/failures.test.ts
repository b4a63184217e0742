import test from 'ava';
import { failureIn } from '../../../../src/ipsec/charon/log/failures.ts';

const reason = test.macro<[msg: string, says: RegExp | undefined]>({
  exec(t, msg, says) {
    const failure = failureIn({
      group: 'IKE',
      level: '1',
      'ikesa-name': 'k8s-node-b',
      'ikesa-uniqueid': '1',
      msg,
    });
    if (says === undefined) {
      t.is(failure, undefined);
    } else {
      t.is(failure?.connection, 'k8s-node-b');
      t.regex(failure?.reason ?? '', says);
    }
  },
  title: (title) => `charon logs: ${title}`,
});

test('no answer', reason, 'giving up after 4 retransmits', /does not answer/);
test(
  'no answer, and it is asked again',
  reason,
  'retransmit 5 of request with message ID 0',
  /does not answer/,
);
test('no answer yet', reason, 'retransmit 4 of request with message ID 0', undefined);
test('proposals', reason, 'received NO_PROPOSAL_CHOSEN notify error', /none of our proposals/);
test('our certificate', reason, 'received AUTHENTICATION_FAILED notify error', /our certificate/);
test(
  'their certificate',
  reason,
  "no trusted ECDSA public key found for 'CN=ipsec-b'",
  /no CA that we trust/,
);
test('no child', reason, 'received TS_UNACCEPTABLE notify, no CHILD_SA built', /does not have this child/);
test('something else', reason, 'establishing CHILD_SA udp_kube-dns_egress{1}', undefined);

test('what names no connection is nobody’s failure', (t) => {
  t.is(failureIn({ group: 'IKE', msg: 'giving up after 4 retransmits' }), undefined);
  t.is(failureIn({}), undefined);
});
