import type { ApiServer } from './apiserver.ts';

/** A kubeconfig for a ServiceAccount of trapline-system, bound to a pod on the node, as kubelet gives it to a pod. */
export async function kubeconfigOf(server: ApiServer, serviceAccount: string, node: string): Promise<string> {
  const pod = `${serviceAccount}-${node}`;
  const metadata = { name: pod, namespace: 'trapline-system' };
  const spec = {
    nodeName: node,
    serviceAccountName: serviceAccount,
    containers: [{ name: 'main', image: 'none' }],
  };
  await server.kubectl(
    ['apply', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec }),
  );
  const request = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 3_600, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod } },
  };
  const path = `/api/v1/namespaces/trapline-system/serviceaccounts/${serviceAccount}/token`;
  const answer = await server.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(request));
  return server.kubeconfigFor((JSON.parse(answer) as { status: { token: string } }).status.token);
}
