import { readFileSync } from 'node:fs';
import test from 'ava';
import {
  parseChildRekey,
  parseConnections,
  parseIkeRekey,
  parseIkeSas,
  parsePolicies,
  parseStats,
  parseUpdown,
  parseVersion,
} from '../../../src/ipsec/charon/replies.ts';
import type { ViciMessage } from '../../../src/ipsec/vici/message.ts';
import { decodePacket, type ServerPacket } from '../../../src/ipsec/vici/packet.ts';
import { golden } from '../../helpers/unit/root.ts';

function packets(file: string): ServerPacket[] {
  const lines = readFileSync(golden(`ipsec/vici/golden/${file}.hex`), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => decodePacket(Buffer.from(line, 'hex')));
}

const messages = (file: string, type: 'event' | 'response'): ViciMessage[] =>
  packets(file).flatMap((packet) => (packet.type === type ? [packet.message] : []));

const reply = (file: string): ViciMessage => messages(file, 'response')[0] ?? {};

test('list-sa of charon 5.9.8', (t) => {
  const [sa, ...others] = parseIkeSas(messages('list-sas', 'event'));
  t.deepEqual(others, []);
  t.like(sa, {
    connection: 'k8s-node-b',
    uniqueId: 1,
    state: 'ESTABLISHED',
    localHost: '10.9.9.1',
    remoteHost: '10.9.9.2',
    localId: 'CN=ipsec-a',
    remoteId: 'CN=ipsec-b',
    initiator: true,
    negotiating: false,
  });
  t.like(sa?.children[0], {
    name: 'udp_kube-dns_egress',
    reqid: 10_000_000,
    state: 'INSTALLED',
    mode: 'TUNNEL',
    encryption: 'AES_GCM_16',
    encryptionBits: 256,
    bytesIn: 0,
    localTs: ['10.1.0.0/24[udp]'],
    remoteTs: ['10.2.0.0/24[udp/domain]'],
  });
  t.true((sa?.children[0]?.spiIn ?? 0) > 0);
  t.deepEqual(
    sa?.children.map((child) => child.name),
    ['udp_kube-dns_egress', 'udp_kube-dns_ingress'],
  );
});

test('list-conn of charon 5.9.8', (t) => {
  const [connection] = parseConnections(messages('list-conns', 'event'));
  t.like(connection, {
    name: 'k8s-node-b',
    local_addrs: ['10.9.9.1'],
    remote_addrs: ['10.9.9.2'],
    version: 'IKEv2',
    dpd_delay: 10,
    rekey_time: 14_400,
    reauth_time: 0,
  });
  t.deepEqual(Object.keys(connection?.children ?? {}), ['udp_kube-dns_egress', 'udp_kube-dns_ingress']);
});

test('list-policy of charon 5.9.8', (t) => {
  t.deepEqual(
    parsePolicies(messages('list-policies', 'event'))
      .map(({ ike, child }) => `${ike}/${child}`)
      .sort(),
    ['k8s-node-b/udp_kube-dns_egress', 'k8s-node-b/udp_kube-dns_ingress'],
  );
});

test('version and stats of charon 5.9.8', (t) => {
  t.like(parseVersion(reply('version')), { daemon: 'charon', version: '5.9.8' });
  const stats = parseStats(reply('stats'));
  t.like(stats.ikesas, { total: 1, 'half-open': 0 });
  t.true(stats.plugins.includes('vici'));
});

test('child-rekey and ike-rekey of charon 5.9.8', (t) => {
  const child = { name: 'x', uniqueid: '1', reqid: '10000001', state: 'REKEYED', mode: 'TUNNEL' };
  const [old, next] = [
    { ...child, 'spi-out': 'c1' },
    { ...child, 'spi-out': 'c2', state: 'INSTALLED' },
  ];
  const ike = { uniqueid: '1', version: '2', 'child-sas': { 'x-1': { old, new: next } } };
  t.deepEqual(parseChildRekey({ 'k8s-node-b': ike }), [{ reqid: 10_000_001, spiOut: 0xc1 }]);
  const sa = {
    uniqueid: '2',
    version: '2',
    state: 'ESTABLISHED',
    'local-host': '192.0.2.1',
    'remote-host': '192.0.2.2',
    'local-id': 'CN=ipsec-a',
    'remote-id': 'CN=ipsec-b',
  };
  t.deepEqual(parseIkeRekey({ 'k8s-node-b': { old: sa, new: { ...sa, initiator: 'yes' } } }), {
    connection: 'k8s-node-b',
    initiator: true,
  });
  t.throws(() => parseIkeRekey({}), { message: /names no IKE_SA/ });
});

test('ike-updown and child-updown of charon 5.9.8', (t) => {
  const events = packets('updown').flatMap((packet) =>
    packet.type === 'event' ? [{ name: packet.name, ...parseUpdown(packet.name, packet.message) }] : [],
  );
  t.deepEqual(
    events.map(({ name, up, sa }) => [name, up, sa.connection, sa.children.map((child) => child.name)]),
    [
      ['ike-updown', false, 'k8s-node-b', []],
      ['child-updown', false, 'k8s-node-b', ['udp_kube-dns_egress']],
      ['child-updown', false, 'k8s-node-b', ['udp_kube-dns_ingress']],
    ],
  );
});

test('up = yes', (t) => {
  const [sa = {}] = messages('list-sas', 'event');
  t.true(parseUpdown('child-updown', { up: 'yes', ...sa }).up);
});

test('a reply without what its description promises names what is missing', (t) => {
  t.throws(() => parseIkeSas([{ x: { uniqueid: 'many' } }]), {
    name: 'ViciError',
    message: /list-sa: [\s\S]*at x\.uniqueid/,
  });
  t.throws(() => parseUpdown('ike-updown', { up: 'yes' }), { message: /names no IKE_SA/ });
});
