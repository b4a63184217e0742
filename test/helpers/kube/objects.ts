import type { KubeClient } from '../../../src/kube/client.ts';
import { isConflict } from '../../../src/kube/error.ts';
import { item as itemObject, policy as policyObject } from '../unit/objects.ts';

/**
 * Requests that create Kubernetes objects in an API server, thousands in a second. The objects have what a server demands;
 * those that a source gives to the agent are made by helpers/unit/objects.ts.
 */

export interface Creation {
  readonly path: string;
  readonly body: { readonly metadata: { readonly name: string } } & Readonly<Record<string, unknown>>;
}

export async function createAll(client: KubeClient, list: readonly Creation[]): Promise<void> {
  const rest = [...list];
  const worker = async (): Promise<void> => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      await client.request({ method: 'POST', path: next.path, body: next.body }).catch((error) => {
        if (!isConflict(error)) {
          throw error;
        }
      });
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

export function node(name: string, podCidrs: string, addresses: string): Creation {
  const annotations = { 'trapline.io/pod-cidrs': podCidrs, 'trapline.io/addresses': addresses };
  return {
    path: '/api/v1/nodes',
    body: { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } as { name: string } },
  };
}

export function namespace(name: string): Creation {
  return { path: '/api/v1/namespaces', body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } };
}

export function service(ns: string, name: string, ports: readonly object[] = [{ port: 80 }]): Creation {
  return {
    path: `/api/v1/namespaces/${ns}/services`,
    body: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: { app: name }, ports, clusterIP: 'None' },
    },
  };
}

export interface SliceOf {
  readonly service: string;
  readonly address: string;
  readonly nodeName: string;
  readonly port: number;
}

export function slice(ns: string, name: string, { service: of, address, nodeName, port }: SliceOf): Creation {
  const labels = { 'kubernetes.io/service-name': of };
  return {
    path: `/apis/discovery.k8s.io/v1/namespaces/${ns}/endpointslices`,
    body: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, labels } as { name: string },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address], nodeName, targetRef: { kind: 'Pod', name, namespace: ns } }],
      ports: [{ port, protocol: 'TCP' }],
    },
  };
}

export function pod(
  ns: string,
  name: string,
  nodeName: string,
  labels: Readonly<Record<string, string>>,
): Creation {
  return {
    path: `/api/v1/namespaces/${ns}/pods`,
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels } as { name: string },
      spec: { nodeName, containers: [{ name: 'main', image: 'none' }], automountServiceAccountToken: false },
    },
  };
}

export function policy(name: string, policies: readonly object[]): Creation {
  const body = { ...policyObject(name, ...policies) };
  return { path: '/apis/starlingx.io/v1/ipsecpolicies', body };
}

export const item = (name: string, serviceports = 'tcp/80', more: object = {}): object =>
  itemObject(name, serviceports, more);
