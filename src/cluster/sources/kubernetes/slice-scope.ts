import type { PolicyItem } from '../../policies/items.ts';

/** Which EndpointSlices to watch: those of named services, or all of a namespace. */
export interface SliceScope {
  /** Paths of the API with the label selector for each; empty: no selector. Sorted by path. */
  readonly watches: readonly { readonly path: string; readonly labelSelector: string }[];
}

const GROUP = '/apis/discovery.k8s.io/v1';
const LABEL = 'kubernetes.io/service-name';
/** A longer selector would come near to the limits of proxies on the length of a URL. */
const MOST_NAMES = 200;

/**
 * The smallest watches that cover the items: one for all services that are named, one for each namespace with `*`. The mesh
 * protects by pod CIDR and needs none.
 */
export function sliceScope(items: readonly PolicyItem[]): SliceScope {
  const whole = new Set(items.filter(({ service }) => service === '*').map(({ namespace }) => namespace));
  if (whole.has('*')) {
    return { watches: [] };
  }
  const named = items.filter(({ namespace }) => !whole.has(namespace));
  const names = [...new Set(named.map(({ service }) => service))].sort();
  const all = `${GROUP}/endpointslices`;
  const selected =
    names.length === 0
      ? []
      : [{ path: all, labelSelector: names.length > MOST_NAMES ? '' : `${LABEL} in (${names.join(',')})` }];
  const namespaces = [...whole]
    .sort()
    .map((namespace) => ({ path: `${GROUP}/namespaces/${namespace}/endpointslices`, labelSelector: '' }));
  return { watches: [...selected, ...namespaces] };
}
