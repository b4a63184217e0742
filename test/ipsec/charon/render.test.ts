import { readFileSync } from 'node:fs';
import test from 'ava';
import { PROFILES, type Profile } from '../../../src/ipsec/charon/profile.ts';
import { pairLabel, renderConnection, renderIke } from '../../../src/ipsec/charon/render.ts';
import { connection } from '../../helpers/charon/values.ts';
import { golden } from '../../helpers/unit/root.ts';

for (const profile of Object.keys(PROFILES) as Profile[]) {
  test(`a connection in the ${profile} profile`, (t) => {
    const text = readFileSync(golden(`ipsec/charon/golden/${profile}.json`), 'utf8');
    t.is(`${JSON.stringify(renderConnection(connection('b'), { profile }), null, 2)}\n`, text);
  });
}

test('the IKE part does not depend on the children', (t) => {
  const config = connection('b');
  t.deepEqual(
    renderIke(config, { profile: 'modern' }),
    renderIke({ ...config, children: [] }, { profile: 'modern' }),
  );
});

test('both ends of a pair have one label, and no other pair has it', (t) => {
  const own = connection('b');
  const peer = { ...own, name: 'k8s-node-a', peer: 'a', localId: own.remoteId, remoteId: own.localId };
  t.is(pairLabel(own, 'udp_dns_egress'), pairLabel(peer, 'udp_dns_ingress'));
  t.is(pairLabel(own, 'udp_dns_ingress'), pairLabel(peer, 'udp_dns_egress'));
  t.not(pairLabel(own, 'udp_dns_egress'), pairLabel(own, 'udp_dns_ingress'));
  t.not(pairLabel(own, 'udp_dns_egress'), pairLabel(own, 'tcp_dns_egress'));
});

test('pods is its own counterpart and needs no label', (t) => {
  t.is(pairLabel(connection('b'), 'pods'), undefined);
});
