import { type EndpointSlice, MANAGED_BY_LABEL, SLICE_CONTROLLER } from '../../../cluster/objects.ts';

export function namespaceOf({ metadata }: EndpointSlice): string {
  return metadata.namespace ?? 'default';
}

export function isManaged({ metadata }: EndpointSlice): boolean {
  return metadata.labels?.[MANAGED_BY_LABEL] === SLICE_CONTROLLER;
}

/**
 * Whether a slice may speak for the addresses of nodes. Pods of the host network have them, and Kubernetes
 * lists such pods itself. Whoever writes a slice by hand could name any node and any port, the API server's
 * among them, and what the node does not know as protected would be lost there. So a slice by hand counts
 * only where its writer could do to nodes whatever they like anyway: in `kube-system`, and the slice that the
 * API server writes for itself.
 */
export function mayNameNodes(slice: EndpointSlice): boolean {
  const namespace = namespaceOf(slice);
  return (
    isManaged(slice) ||
    namespace === 'kube-system' ||
    (namespace === 'default' && slice.metadata.name === 'kubernetes')
  );
}
