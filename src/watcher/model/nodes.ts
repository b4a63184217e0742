import type { CacheNode } from '../../cache/schema.ts';
import type { Node, ObjectProblem } from '../objects.ts';
import { canonicalAddress, canonicalCidr } from './cidr.ts';

export const POD_CIDRS_ANNOTATION = 'trapline.io/pod-cidrs';
export const ADDRESSES_ANNOTATION = 'trapline.io/addresses';

export interface ParsedNodes {
  /** Sorted by name. */
  readonly nodes: readonly CacheNode[];
  readonly problems: readonly ObjectProblem[];
}

/** The nodes that can have a tunnel. One with a malformed address or CIDR is left out and reported. */
export function parseNodes(objects: readonly Node[]): ParsedNodes {
  const nodes: CacheNode[] = [];
  const problems: ObjectProblem[] = [];
  for (const object of [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const parsed = parseNode(object);
    if (typeof parsed === 'string') {
      problems.push({ where: `Node ${object.metadata.name}`, message: parsed });
    } else {
      nodes.push(parsed);
    }
  }
  return { nodes, problems };
}

function parseNode({ metadata, spec, status }: Node): CacheNode | string {
  const override = metadata.annotations?.[POD_CIDRS_ANNOTATION];
  const declared = spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []);
  const cidrs = canonicalAll(
    override === undefined ? 'spec.podCIDRs' : POD_CIDRS_ANNOTATION,
    override?.split(',') ?? declared,
    canonicalCidr,
  );
  const told = metadata.annotations?.[ADDRESSES_ANNOTATION];
  const internal = (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP');
  const addresses = canonicalAll(
    told === undefined ? 'status.addresses' : ADDRESSES_ANNOTATION,
    told?.split(',') ?? internal.map(({ address }) => address),
    canonicalAddress,
  );
  if (typeof cidrs === 'string') {
    return cidrs;
  }
  if (typeof addresses === 'string') {
    return addresses;
  }
  if (addresses.length === 0) {
    return 'status.addresses: no InternalIP yet';
  }
  return cidrs.length === 0
    ? 'spec.podCIDRs: none yet'
    : { name: metadata.name, addresses: firstPerFamily(addresses), podCidrs: [...new Set(cidrs)].sort() };
}

function canonicalAll(
  field: string,
  texts: readonly string[],
  canonical: (text: string) => string | undefined,
): string[] | string {
  const values: string[] = [];
  for (const text of texts) {
    const value = canonical(text);
    if (value === undefined) {
      return `${field}: ${JSON.stringify(text)} is malformed`;
    }
    values.push(value);
  }
  return values;
}

function firstPerFamily(addresses: readonly string[]): string[] {
  const v4 = addresses.find((address) => !address.includes(':'));
  const v6 = addresses.find((address) => address.includes(':'));
  return [v4, v6].filter((address) => address !== undefined);
}
