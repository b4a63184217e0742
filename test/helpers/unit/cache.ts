import { bootIdOf } from '../../../src/rundir/gate.ts';
import type { NodeCache, NodeCacheContent } from '../../../src/rundir/schema.ts';
import { CACHE_SCHEMA } from '../../../src/rundir/schema.ts';

/**
 * "The seed" of the tests and of the lab is the sample cluster of StarlingX, whose documents on IPsec for pod traffic Trapline
 * began with: the nodes controller-0, controller-1 and worker-0 with Calico blocks of 172.16.0.0/16 as pod CIDRs, and the
 * IPsecPolicy `ipsecpolicy-kube-dns-sample`, which protects kube-dns and cm-cert-manager. Here it is as controller-1 sees it, with
 * kube-dns alone: it serves kube-dns from one pod, controller-0 has another kube-dns pod, worker-0 has clients only.
 */
export function seedCache(overrides: Partial<NodeCache> = {}): NodeCache {
  return {
    schema: CACHE_SCHEMA,
    generation: 1,
    writtenAt: 1_700_000_000_000,
    bootId: bootIdOf(),
    ...seedContent(),
    ...overrides,
  };
}

/** The same, with the port numbers that are protected at endpoints which no slice lists yet. */
export function seedCacheWithUnlisted(overrides: Partial<NodeCache> = {}): NodeCache {
  return seedCache({
    unlisted: [
      { proto: 'tcp', port: 9153, child: 'tcp_kube-dns' },
      { proto: 'udp', port: 53, child: 'udp_kube-dns' },
    ],
    ...overrides,
  });
}

function seedContent(): NodeCacheContent {
  return {
    childSaScope: 'service',
    mesh: false,
    node: {
      name: 'controller-1',
      addresses: ['192.168.206.3'],
      podCidrs: ['172.16.166.128/26'],
    },
    peers: [
      {
        name: 'controller-0',
        addresses: ['192.168.206.2'],
        podCidrs: ['172.16.192.64/26'],
        reqids: reqids(10_000_000),
      },
      {
        name: 'worker-0',
        addresses: ['192.168.206.66'],
        podCidrs: ['172.16.43.0/26'],
        reqids: reqids(10_000_100),
      },
    ],
    children: [
      { name: 'tcp_kube-dns', proto: 'tcp', ports: [53, 9153] },
      { name: 'udp_kube-dns', proto: 'udp', ports: [53] },
    ],
    entries: [
      {
        name: 'kube-dns',
        namespace: 'kube-system',
        service: 'kube-dns',
        selector: { 'k8s-app': 'kube-dns' },
        families: [4, 6],
        ports: [
          { proto: 'tcp', target: 'metrics' },
          { proto: 'tcp', target: 53 },
          { proto: 'udp', target: 53 },
        ],
      },
    ],
    pods: [
      {
        namespace: 'kube-system',
        name: 'coredns-1',
        uid: 'uid-1',
        labels: { 'k8s-app': 'kube-dns' },
        ports: [{ name: 'metrics', proto: 'tcp', port: 9153 }],
        addresses: [],
      },
      {
        namespace: 'default',
        name: 'client',
        uid: 'uid-2',
        labels: { app: 'client' },
        ports: [],
        addresses: [],
      },
    ],
    localEndpoints: [],
    endpoints: [
      {
        address: '172.16.192.115',
        node: 'controller-0',
        ports: [
          { proto: 'tcp', port: 53, child: 'tcp_kube-dns' },
          { proto: 'tcp', port: 9153, child: 'tcp_kube-dns' },
          { proto: 'udp', port: 53, child: 'udp_kube-dns' },
        ],
      },
    ],
  };
}

function reqids(first: number): Record<string, number> {
  return {
    'tcp_kube-dns_egress': first,
    'tcp_kube-dns_ingress': first + 1,
    'udp_kube-dns_egress': first + 2,
    'udp_kube-dns_ingress': first + 3,
  };
}

/** What ADD recorded for the kube-dns pod of `seedCache`. */
export const corednsAttachment = {
  pod: { namespace: 'kube-system', name: 'coredns-1', uid: 'uid-1' },
  addresses: ['172.16.166.178'],
};
