import { BOUNDS } from '../bounds.ts';
import type { EndpointSlice, IPsecPolicy, Service } from '../objects.ts';
import { addressesIn, firstAddresses } from '../policies/bounded-slices.ts';
import type { ClusterObjects } from '../snapshot.ts';

/** An object with the list of ClusterObjects that it belongs to. */
export type Listed = {
  [List in keyof ClusterObjects]-?: {
    readonly list: List;
    readonly object: NonNullable<ClusterObjects[List]>[number];
  };
}[keyof ClusterObjects];

/** An object as far as the bounds allow, and what of it is left out: empty if nothing is. */
export interface Bounded<T = Listed['object']> {
  readonly object: T;
  readonly excess: string;
}

/** Undefined if the object is too large as a whole. */
export function bounded({ list, object }: Listed): Bounded | undefined {
  switch (list) {
    case 'services': {
      const within = boundedService(object);
      return fits(within.object) ? within : undefined;
    }
    case 'endpointSlices':
      return boundedSlice(object);
    case 'policies':
      return boundedPolicy(object);
    default:
      return fits(object) ? { object, excess: '' } : undefined;
  }
}

function fits(object: object): boolean {
  return JSON.stringify(object).length <= BOUNDS.charactersPerObject;
}

function boundedService(object: Service): Bounded<Service> {
  const { spec } = object;
  const ports = firstOf(spec.ports, BOUNDS.portsPerObject);
  return ports === undefined
    ? { object, excess: '' }
    : {
        object: { ...object, spec: { ...spec, ports } },
        excess: excessOf('spec.ports', spec.ports?.length, BOUNDS.portsPerObject),
      };
}

function boundedPolicy(object: IPsecPolicy): Bounded<IPsecPolicy> {
  const { spec } = object;
  const policies = firstOf(spec?.policies, BOUNDS.itemsPerPolicy);
  return policies === undefined
    ? { object, excess: '' }
    : {
        object: { ...object, spec: { ...spec, policies } },
        excess: excessOf('spec.policies', spec?.policies?.length, BOUNDS.itemsPerPolicy),
      };
}

/** At addresses that are left out the port numbers are protected with whole pod CIDRs. */
function boundedSlice(object: EndpointSlice): Bounded<EndpointSlice> {
  const excess: string[] = [];
  const ports = firstOf(object.ports, BOUNDS.portsPerObject);
  if (ports !== undefined) {
    excess.push(excessOf('ports', object.ports?.length, BOUNDS.portsPerObject));
  }
  const count = addressesIn(object);
  const isCut = count > BOUNDS.addressesPerSlice;
  const cut: EndpointSlice = isCut
    ? { ...firstAddresses(object, BOUNDS.addressesPerSlice), cut: true }
    : object;
  if (isCut) {
    excess.push(
      `${excessOf('endpoints.addresses', count, BOUNDS.addressesPerSlice)} one by one, at the others whole protocols are not protected`,
    );
  }
  return { object: ports === undefined ? cut : { ...cut, ports }, excess: excess.join('; ') };
}

/** Undefined if there are no more than that. */
function firstOf<T>(list: readonly T[] | null | undefined, most: number): T[] | undefined {
  return list === null || list === undefined || list.length <= most ? undefined : list.slice(0, most);
}

function excessOf(field: string, count: number | undefined, most: number): string {
  return `${field}: ${count} are too many, only the first ${most} count`;
}
