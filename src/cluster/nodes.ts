import { rememberedAddress, rememberedCidr } from '../ip/remembered.ts';
import type { CacheNode } from '../rundir/schema.ts';
import { ADDRESSES_ANNOTATION, POD_CIDRS_ANNOTATION } from './fields.ts';
import type { ClusterObjects, Node, ObjectProblem } from './objects.ts';

export { ADDRESSES_ANNOTATION, POD_CIDRS_ANNOTATION };

export interface ParsedNodes {
  /** Sorted by name. */
  readonly nodes: readonly CacheNode[];
  readonly problems: readonly ObjectProblem[];
}

/** Objects of the primary CNI that say where pods are. */
export type PodCidrSources = Pick<ClusterObjects, 'blockAffinities' | 'ciliumNodes'>;

/**
 * The nodes with which a tunnel is possible: those with an address and pod CIDRs. A node that has none yet,
 * or a malformed one, is left out and reported.
 */
export function parseNodes(objects: readonly Node[], sources: PodCidrSources = {}): ParsedNodes {
  const blocks = blocksByNode(sources);
  const nodes: CacheNode[] = [];
  const problems: ObjectProblem[] = [];
  for (const object of [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const parsed = parseNode(object, blocks);
    if (typeof parsed === 'string') {
      problems.push({ where: `Node ${object.metadata.name}`, message: parsed });
    } else {
      nodes.push(parsed);
    }
  }
  return { nodes, problems };
}

/** Pod CIDRs as the primary CNI keeps them. */
interface Blocks {
  /** The field that they are in, as messages call it. */
  readonly field: string;
  readonly byNode: ReadonlyMap<string, readonly string[]>;
}

/**
 * Undefined if the primary CNI keeps no pod CIDRs. Where it does, `spec.podCIDRs` of a Node does not say
 * where pods are.
 */
function blocksByNode({ blockAffinities = [], ciliumNodes = [] }: PodCidrSources): Blocks | undefined {
  const affine = blockAffinities.filter(
    ({ spec }) => String(spec.deleted ?? false) !== 'true' && (spec.state ?? 'confirmed') === 'confirmed',
  );
  if (affine.length > 0) {
    const byNode = new Map<string, string[]>();
    for (const { spec } of affine) {
      byNode.set(spec.node, [...(byNode.get(spec.node) ?? []), spec.cidr]);
    }
    return { field: 'BlockAffinity spec.cidr', byNode };
  }
  const own = ciliumNodes.filter(({ spec }) => (spec?.ipam?.podCIDRs ?? []).length > 0);
  return own.length === 0
    ? undefined
    : {
        field: 'CiliumNode spec.ipam.podCIDRs',
        byNode: new Map(own.map(({ metadata, spec }) => [metadata.name, spec?.ipam?.podCIDRs ?? []])),
      };
}

/** The node, or why it can have no tunnel: `<field>: <reason>`. */
function parseNode({ metadata, spec, status }: Node, blocks: Blocks | undefined): CacheNode | string {
  const override = metadata.annotations?.[POD_CIDRS_ANNOTATION];
  const field = blocks?.field ?? 'spec.podCIDRs';
  const declared =
    blocks === undefined
      ? (spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []))
      : (blocks.byNode.get(metadata.name) ?? []);
  const cidrs = canonicalAll(
    override === undefined ? field : POD_CIDRS_ANNOTATION,
    override?.split(',') ?? declared,
    rememberedCidr,
  );
  const given = metadata.annotations?.[ADDRESSES_ANNOTATION];
  const internal = (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP');
  const addresses = canonicalAll(
    given === undefined ? 'status.addresses' : ADDRESSES_ANNOTATION,
    given?.split(',') ?? internal.map(({ address }) => address),
    rememberedAddress,
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
    ? `${field}: none yet`
    : { name: metadata.name, addresses: firstPerFamily(addresses), podCidrs: [...new Set(cidrs)].sort() };
}

/** All values in canonical form, or which one is malformed. */
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

/** A tunnel has one end per family. */
function firstPerFamily(addresses: readonly string[]): string[] {
  const v4 = addresses.find((address) => !address.includes(':'));
  const v6 = addresses.find((address) => address.includes(':'));
  return [v4, v6].filter((address) => address !== undefined);
}
