import { stringify } from 'yaml';
import {
  CERT_IP,
  DNS_IP,
  NODES,
  type NodeSpec,
  OPEN_PORT,
  PODS,
  type PodSpec,
  withAddress6,
} from './topology.ts';

/** The cluster's objects as an API server would give them, a manifest per file. */

export function nodesManifest(nodes: readonly NodeSpec[] = NODES): string {
  return documents(
    nodes.map(({ name, address, podCidr, address6, podCidr6, dual = false, sixOnly = false, bootId }) => ({
      apiVersion: 'v1',
      kind: 'Node',
      // An API server takes the status from kubelets alone.
      metadata: {
        name,
        annotations: {
          'trapline.io/addresses': [...(sixOnly ? [] : [address]), ...(dual ? [address6] : [])].join(','),
        },
      },
      spec: { podCIDR: podCidr, podCIDRs: dual ? [podCidr, podCidr6] : [podCidr] },
      ...(bootId === undefined ? {} : { status: { nodeInfo: { bootID: bootId } } }),
    })),
  );
}

const DNS_PORTS = [
  { name: 'dns', protocol: 'UDP', port: 53 },
  { name: 'dns-tcp', protocol: 'TCP', port: 53 },
  { name: 'metrics', protocol: 'TCP', port: 9153 },
  { name: 'open', protocol: 'TCP', port: OPEN_PORT },
];

/** `more`: further pods of the DNS service; `target`: where its port 9153 leads. */
export function servicesManifest(more: readonly PodSpec[] = [], target = 9153, dual = false): string {
  const servicePorts = DNS_PORTS.map((port) =>
    port.port === 9153 && target !== port.port ? { ...port, targetPort: target } : port,
  );
  const slicePorts = DNS_PORTS.map((port) => (port.port === 9153 ? { ...port, port: target } : port));
  return documents([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'cert-manager' } },
    service('kube-dns', 'kube-system', {
      clusterIP: DNS_IP,
      selector: PODS.dns0.labels,
      ports: servicePorts,
    }),
    slice('kube-dns', 'kube-system', { pods: [PODS.dns0, PODS.dns1, ...more], ports: slicePorts }),
    ...(dual
      ? [
          slice('kube-dns-6', 'kube-system', {
            pods: [withAddress6(PODS.dns0), withAddress6(PODS.dns1)],
            ports: slicePorts,
          }),
        ]
      : []),
    service('cm-cert-manager', 'cert-manager', {
      clusterIP: CERT_IP,
      selector: PODS.cert.labels,
      ports: [{ name: 'metrics', protocol: 'TCP', port: 9402, targetPort: 'http-metrics' }],
    }),
    slice('cm-cert-manager', 'cert-manager', {
      pods: [PODS.cert],
      ports: [{ name: 'metrics', protocol: 'TCP', port: 9402 }],
    }),
  ]);
}

/** Pods as the scheduler leaves them: bound to a node, without an address yet. */
export function podsManifest(more: readonly PodSpec[] = []): string {
  const named = (spec: PodSpec): object[] =>
    spec.namespace === 'cert-manager' ? [{ name: 'http-metrics', containerPort: 9402, protocol: 'TCP' }] : [];
  return documents(
    [...Object.values(PODS), ...more].map((spec) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: spec.name, namespace: spec.namespace, uid: `uid-${spec.name}`, labels: spec.labels },
      spec: { nodeName: spec.node, containers: [{ name: 'main', image: 'none', ports: named(spec) }] },
      status: { phase: 'Pending' },
    })),
  );
}

function service(name: string, namespace: string, spec: object): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec };
}

interface SliceContent {
  readonly pods: readonly PodSpec[];
  readonly ports: readonly object[];
}

function slice(name: string, namespace: string, { pods, ports }: SliceContent): object {
  const six = pods.some(({ address6 }) => address6 !== undefined);
  const service = name.replace(/-6$/, '');
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-1`, namespace, labels: { 'kubernetes.io/service-name': service } },
    addressType: six ? 'IPv6' : 'IPv4',
    endpoints: pods.map((pod) => ({
      addresses: [pod.address6 ?? pod.address],
      nodeName: pod.node,
      conditions: { ready: true },
      targetRef: { kind: 'Pod', name: pod.name, namespace: pod.namespace },
    })),
    ports,
  };
}

function documents(objects: readonly object[]): string {
  return objects.map((object) => stringify(object)).join('---\n');
}
