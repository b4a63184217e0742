import type { ApiServer } from './apiserver.ts';
import { type Creation, namespace, pod, service, slice } from './objects.ts';

/** What tests of policies in an API server ask of it. */

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

export async function apply({ kubectl }: ApiServer, list: readonly Creation[]): Promise<void> {
  const items = list.map(({ path, body: { metadata, ...rest } }) => {
    const ns = /namespaces\/([^/]+)\//.exec(path)?.[1];
    return { ...rest, metadata: { ...metadata, ...(ns === undefined ? {} : { namespace: ns }) } };
  });
  for (const object of items) {
    await kubectl(['apply', '-f', '-'], JSON.stringify(object));
  }
}

export async function condition(
  { kubectl }: ApiServer,
  name: string,
  type: string,
): Promise<Condition | undefined> {
  const text = await kubectl(['get', 'ipsecpolicy', name, '-o', 'json']);
  const { status } = JSON.parse(text) as { status?: { conditions?: Condition[] } };
  return status?.conditions?.find((each) => each.type === type);
}

const DNS_PORTS = [
  { name: 'dns', port: 53, protocol: 'UDP' },
  { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  { name: 'metrics', port: 9153, protocol: 'TCP' },
];

/** kube-dns and cm-cert-manager of the seed, each with a pod on node-b. */
export function seedServices(): Creation[] {
  const dns = service('kube-system', 'kube-dns', DNS_PORTS);
  const dnsSlice = slice('kube-system', 'kube-dns-1', {
    service: 'kube-dns',
    address: '10.244.2.10',
    nodeName: 'node-b',
    port: 53,
  });
  const cert = service('cert-manager', 'cm-cert-manager', [{ name: 'metrics', port: 9402, protocol: 'TCP' }]);
  return [
    namespace('cert-manager'),
    namespace('ns'),
    dns,
    { ...dnsSlice, body: { ...dnsSlice.body, ports: DNS_PORTS } },
    cert,
    slice('cert-manager', 'cm-1', {
      service: 'cm-cert-manager',
      address: '10.244.2.11',
      nodeName: 'node-b',
      port: 9402,
    }),
    pod('kube-system', 'coredns-b', 'node-b', { app: 'kube-dns' }),
  ];
}
