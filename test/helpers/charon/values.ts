import type { ChildSa, IkeSa } from '../../../src/ipsec/charon/replies.ts';
import type { ConnectionConfig } from '../../../src/ipsec/plan/types.ts';

/** Node a's connection to a peer, with one entry `udp_dns` of both sides. Reqids start at `reqid`. */
export function connection(peer: string, reqid = 10_000_000): ConnectionConfig {
  return {
    name: `k8s-node-${peer}`,
    peer,
    localAddrs: ['192.0.2.1'],
    remoteAddrs: ['192.0.2.2'],
    localId: 'CN=ipsec-a',
    remoteId: `CN=ipsec-${peer}`,
    children: [
      { name: 'udp_dns_egress', reqid, localTs: ['10.1.0.0/24[udp]'], remoteTs: ['10.2.0.0/24[udp/53]'] },
      {
        name: 'udp_dns_ingress',
        reqid: reqid + 1,
        localTs: ['10.1.0.0/24[udp/53]'],
        remoteTs: ['10.2.0.0/24[udp]'],
      },
    ],
  };
}

export function ikeSa(overrides: Partial<IkeSa> = {}): IkeSa {
  return {
    connection: 'k8s-node-b',
    uniqueId: 1,
    version: '2',
    state: 'ESTABLISHED',
    localHost: '192.0.2.1',
    remoteHost: '192.0.2.2',
    localId: 'CN=ipsec-a',
    remoteId: 'CN=ipsec-b',
    initiator: true,
    establishedFor: 1,
    negotiating: false,
    children: [],
    ...overrides,
  };
}

export function childSa(overrides: Partial<ChildSa> = {}): ChildSa {
  return {
    name: 'udp_dns_egress',
    uniqueId: 1,
    reqid: 10_000_000,
    state: 'INSTALLED',
    mode: 'TUNNEL',
    spiIn: 0xc0000001,
    spiOut: 0xc0000002,
    encryption: 'AES_GCM_16',
    encryptionBits: 256,
    bytesIn: 0,
    bytesOut: 0,
    packetsIn: 0,
    packetsOut: 0,
    installedFor: 1,
    rekeyIn: 3_000,
    localTs: [],
    remoteTs: [],
    ...overrides,
  };
}
