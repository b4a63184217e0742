import { BOUNDS } from '../../../cluster/bounds.ts';
import { type EndpointSlice, SERVICE_NAME_LABEL } from '../../../cluster/objects.ts';
import type { AcceptedService } from '../../../rundir/accepted.ts';

export type Slices = readonly EndpointSlice[];
type Gone = NonNullable<AcceptedService['gone']>;

// Slices that are made here, not read: each once, since what is made from them is remembered by identity.
const made = new WeakSet<EndpointSlice>();
const formerOf = new WeakMap<Gone, Slices>();
const portsOf = new WeakMap<AcceptedService['slicePorts'], EndpointSlice>();

/** The slices that a source has read, without those that are made here. */
export function readSlices(slices: Slices): Slices {
  return slices.some((slice) => made.has(slice)) ? slices.filter((slice) => !made.has(slice)) : slices;
}

/** Slices in the form in which a Service that is gone remembers them. */
export function keepSlices(slices: Slices): Gone['slices'] {
  let room: number = BOUNDS.formerEndpoints;
  return slices.map((slice) => {
    const endpoints = (slice.endpoints ?? []).slice(0, room);
    room -= endpoints.length;
    return {
      name: slice.metadata.name,
      addressType: slice.addressType,
      endpoints: endpoints.map(({ addresses, nodeName, targetRef }) => ({
        addresses,
        ...(typeof nodeName === 'string' ? { nodeName } : {}),
        pod: targetRef?.kind === 'Pod',
      })),
      ports: uniquePorts([slice]),
    };
  });
}

/** The slices that a Service had before it went, but for those that are there still. */
export function formerSlices(service: AcceptedService, own: Slices): Slices {
  const { gone } = service;
  if (gone === undefined) {
    return [];
  }
  const former =
    formerOf.get(gone) ??
    gone.slices.map(({ name, addressType, endpoints, ports }) => ({
      ...sliceOf(service, name, ports),
      addressType,
      endpoints: endpoints.map(({ pod, ...endpoint }) => ({
        ...endpoint,
        ...(pod ? { targetRef: { kind: 'Pod' } } : {}),
      })),
    }));
  formerOf.set(gone, former);
  for (const slice of former) {
    made.add(slice);
  }
  const there = new Set(own.map(({ metadata }) => metadata.name));
  return former.filter(({ metadata }) => !there.has(metadata.name));
}

/**
 * A slice without endpoints, which tells the numbers of named target ports where no slice does: the Service
 * has no pods at the moment, or is gone.
 */
export function portsSlice(service: AcceptedService, own: Slices): Slices {
  const silent = own.every(({ ports }) => !(ports ?? []).some(({ port }) => typeof port === 'number'));
  if (!silent || service.slicePorts.length === 0) {
    return [];
  }
  const slice = portsOf.get(service.slicePorts) ?? sliceOf(service, service.name, service.slicePorts);
  portsOf.set(service.slicePorts, slice);
  made.add(slice);
  return [slice];
}

function sliceOf(
  service: AcceptedService,
  name: string,
  ports: AcceptedService['slicePorts'],
): EndpointSlice {
  const labels = { [SERVICE_NAME_LABEL]: service.name };
  return {
    kind: 'EndpointSlice',
    metadata: { name, namespace: service.namespace, labels },
    addressType: '',
    endpoints: [],
    ports,
  };
}

export function uniquePorts(slices: Slices): AcceptedService['slicePorts'] {
  const ports = slices.flatMap((slice) =>
    (slice.ports ?? []).flatMap(({ name, protocol, port }) =>
      typeof port === 'number' ? [{ name: name ?? '', protocol: protocol ?? 'TCP', port }] : [],
    ),
  );
  return [...new Map(ports.map((port) => [JSON.stringify(port), port])).values()];
}
