/** The seed's cluster (helpers/unit/cache.ts says what the seed is): three nodes, their addresses and Calico blocks. */
export interface NodeSpec {
  readonly name: string;
  readonly address: string;
  readonly podCidr: string;
  readonly address6: string;
  readonly podCidr6: string;
  /** Its Node tells the IPv6 addresses as well. */
  readonly dual?: boolean;
  /** Its Node tells no IPv4 address. */
  readonly sixOnly?: boolean;
  /** Changes when the node boots. */
  readonly bootId?: string;
}

export const NODES: readonly NodeSpec[] = [
  {
    name: 'controller-0',
    address: '192.168.206.2',
    podCidr: '172.16.192.64/26',
    address6: 'fd00:206::2',
    podCidr6: 'fd00:10:1::/64',
  },
  {
    name: 'controller-1',
    address: '192.168.206.3',
    podCidr: '172.16.166.128/26',
    address6: 'fd00:206::3',
    podCidr6: 'fd00:10:2::/64',
  },
  {
    name: 'worker-0',
    address: '192.168.206.66',
    podCidr: '172.16.43.0/26',
    address6: 'fd00:206::66',
    podCidr6: 'fd00:10:3::/64',
  },
];

export interface PodSpec {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly address: string;
  /** Where the lab is dual stack. */
  readonly address6?: string;
  readonly labels: Readonly<Record<string, string>>;
}

const DNS = { 'k8s-app': 'kube-dns' };

export const PODS = {
  dns0: {
    name: 'coredns-0',
    namespace: 'kube-system',
    node: 'controller-0',
    address: '172.16.192.115',
    labels: DNS,
  },
  dns1: {
    name: 'coredns-1',
    namespace: 'kube-system',
    node: 'controller-1',
    address: '172.16.166.178',
    labels: DNS,
  },
  cert: {
    name: 'cert-manager-0',
    namespace: 'cert-manager',
    node: 'worker-0',
    address: '172.16.43.20',
    labels: { app: 'cert-manager' },
  },
  client0: {
    name: 'client-0',
    namespace: 'default',
    node: 'controller-0',
    address: '172.16.192.70',
    labels: {},
  },
  client1: {
    name: 'client-1',
    namespace: 'default',
    node: 'controller-1',
    address: '172.16.166.140',
    labels: {},
  },
  client2: { name: 'client-2', namespace: 'default', node: 'worker-0', address: '172.16.43.10', labels: {} },
} as const satisfies Readonly<Record<string, PodSpec>>;

/** The same pod with an IPv6 address as well. */
export function withAddress6(spec: PodSpec): PodSpec {
  const cidr = NODES.find(({ name }) => name === spec.node)?.podCidr6 ?? '';
  return { ...spec, address6: `${cidr.replace('/64', '')}${spec.address.split('.').at(-1)}` };
}

export const DNS_IP = '10.96.0.10';
export const CERT_IP = '10.96.0.11';
/** A port of the DNS pods that no policy names. */
export const OPEN_PORT = 8080;

/** Where each node's kube-proxy sends what is for the DNS service: to a pod on another node. */
export const DNS_BACKEND: Readonly<Record<string, string>> = {
  'controller-0': PODS.dns1.address,
  'controller-1': PODS.dns0.address,
  'worker-0': PODS.dns1.address,
};
