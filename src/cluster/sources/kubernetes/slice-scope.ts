import { type EndpointSlice, SERVICE_NAME_LABEL } from '../../objects.ts';
import type { NamedService } from '../../snapshot.ts';

/** Which EndpointSlices to watch: those of named Services, or all of a namespace. */
export interface SliceScope {
  /** Sorted by path. */
  readonly watches: readonly SliceWatch[];
}

export interface SliceWatch {
  /** A path of the API. */
  readonly path: string;
  /** Empty if there is none. */
  readonly labelSelector: string;
  /**
   * The Services whose slices are kept, `<namespace>/<name>`, sorted: a selector knows names and no
   * namespaces. Undefined: those of every Service.
   */
  readonly services: readonly string[] | undefined;
}

const GROUP = '/apis/discovery.k8s.io/v1';
/** A selector of more names would come near to the length of a URL that proxies allow. */
const MOST_NAMES = 200;

/**
 * The smallest watches that cover the items: one for all Services that are named, and one for each namespace
 * of which every Service is protected. The mesh, all Services of all namespaces, protects by pod CIDR and
 * needs no slices.
 */
export function sliceScope(items: readonly NamedService[]): SliceScope {
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
      : [
          {
            path: all,
            labelSelector: names.length > MOST_NAMES ? '' : `${SERVICE_NAME_LABEL} in (${names.join(',')})`,
            services: [...new Set(named.map(({ namespace, service }) => `${namespace}/${service}`))].sort(),
          },
        ];
  const namespaces = [...whole].sort().map((namespace) => ({
    path: `${GROUP}/namespaces/${namespace}/endpointslices`,
    labelSelector: '',
    services: undefined,
  }));
  return { watches: [...selected, ...namespaces] };
}

/** Whether a slice is among those of a watch. */
export function wants({ path, services }: SliceWatch): (slice: Pick<EndpointSlice, 'metadata'>) => boolean {
  return ({ metadata: { namespace = 'default', labels } }) =>
    services === undefined
      ? path === `${GROUP}/namespaces/${namespace}/endpointslices`
      : services.includes(`${namespace}/${labels?.[SERVICE_NAME_LABEL]}`);
}
