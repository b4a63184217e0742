import { rememberedAddress, rememberedCidr } from '../ip/remembered.ts';
import type { CacheNode } from '../rundir/schema.ts';
import { shown } from '../util/printable.ts';
import { BOUNDS } from './bounds.ts';
import { ADDRESSES_ANNOTATION, POD_CIDRS_ANNOTATION } from './fields.ts';
import { ASSIGNED_CIDRS, type ClaimContext, type NodeDraft, settleClaims } from './node-claims.ts';
import type { Node } from './objects.ts';
import type { ClusterObjects, ObjectProblem } from './snapshot.ts';

const ADDRESSES = 'status.addresses';
/** How many refused values a node's problem names. */
const REFUSED_SHOWN = 3;

export { ADDRESSES_ANNOTATION, POD_CIDRS_ANNOTATION };

export interface ParsedNodes {
  /** Sorted by name. */
  readonly nodes: readonly CacheNode[];
  /**
   * Nodes with a malformed CIDR or address, without it: for whoever does not know what they had before. They
   * are among the problems, too.
   */
  readonly partial?: readonly CacheNode[];
  /** Nodes of which no address is known, and pod CIDRs are. They are among the problems, too. */
  readonly addressless?: readonly Pick<CacheNode, 'name' | 'podCidrs'>[];
  /** One for each Node at most. */
  readonly problems: readonly ObjectProblem[];
}

/** Objects of the primary CNI that say where pods are. */
export type PodCidrSources = Pick<ClusterObjects, 'blockAffinities' | 'ciliumNodes'>;

export type NodeContext = PodCidrSources & ClaimContext;

/**
 * The nodes with which a tunnel is possible: those with an address and pod CIDRs. A node that has none yet,
 * or a malformed one, is left out and reported. A CIDR or address that belongs to another node, or that no
 * node can have, is left out alone (node-claims.ts).
 */
export function parseNodes(objects: readonly Node[], context: NodeContext = {}): ParsedNodes {
  const blocks = blocksByNode(context);
  const sorted = [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const read = new Map(sorted.map((object) => [object.metadata.name, readNode(object, blocks)]));
  const settled = settleClaims(
    [...read.values()].flatMap(({ draft }) => draft ?? []),
    context,
  );
  const nodes: CacheNode[] = [];
  const partial: CacheNode[] = [];
  const addressless: Pick<CacheNode, 'name' | 'podCidrs'>[] = [];
  const problems: ObjectProblem[] = [];
  for (const [name, { problem }] of read) {
    const { node, refused = [] } = settled.get(name) ?? {};
    if (node !== undefined && node.podCidrs.length > 0) {
      if (node.addresses.length > 0) {
        (problem === undefined ? nodes : partial).push(node);
      } else {
        addressless.push({ name, podCidrs: node.podCidrs });
      }
    }
    const message = problem ?? (refused.length === 0 ? undefined : summary(refused));
    problems.push(...(message === undefined ? [] : [{ where: `Node ${name}`, message }]));
  }
  return { nodes, partial, addressless, problems };
}

/** One message for all that was refused of a node: the first few, and how many more there are. */
function summary(refused: readonly string[]): string {
  const more = refused.length - REFUSED_SHOWN;
  return [...refused.slice(0, REFUSED_SHOWN), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
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
    const grouped = Map.groupBy(affine, ({ spec }) => spec.node);
    const byNode = new Map([...grouped].map(([name, own]) => [name, own.map(({ spec }) => spec.cidr)]));
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

interface ReadNode {
  /** What the node claims; it may have no address. */
  readonly draft?: NodeDraft;
  /** Why the draft is not all that the node says, or that it can have no tunnel: `<field>: <reason>`. */
  readonly problem?: string;
}

function readNode({ metadata, spec, status }: Node, blocks: Blocks | undefined): ReadNode {
  const override = metadata.annotations?.[POD_CIDRS_ANNOTATION];
  const field = blocks?.field ?? ASSIGNED_CIDRS;
  const declared =
    blocks === undefined
      ? (spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []))
      : (blocks.byNode.get(metadata.name) ?? []);
  const fields = {
    podCidrs: override === undefined ? field : POD_CIDRS_ANNOTATION,
    addresses: metadata.annotations?.[ADDRESSES_ANNOTATION] === undefined ? ADDRESSES : ADDRESSES_ANNOTATION,
  };
  const cidrs = canonicalAll(fields.podCidrs, override?.split(',') ?? declared, rememberedCidr);
  const given = metadata.annotations?.[ADDRESSES_ANNOTATION];
  const internal = (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP');
  const addresses = canonicalAll(
    fields.addresses,
    given?.split(',') ?? internal.map(({ address }) => address),
    rememberedAddress,
  );
  const { name, creationTimestamp: createdAt } = metadata;
  const podCidrs = [...new Set(cidrs.values)].sort();
  const problem = cidrs.problem ?? addresses.problem;
  if (podCidrs.length === 0) {
    return { problem: problem ?? `${field}: none yet` };
  }
  const draft = { name, createdAt, addresses: addresses.values, podCidrs, fields };
  const none = draft.addresses.length === 0 ? `${ADDRESSES}: no InternalIP yet` : undefined;
  const said = problem ?? none;
  return said === undefined ? { draft } : { draft, problem: said };
}

/** The values in canonical form, without those that are malformed, and which of these is the first. */
function canonicalAll(
  field: string,
  texts: readonly string[],
  canonical: (text: string) => string | undefined,
): { readonly values: string[]; readonly problem?: string } {
  const malformed = texts.find((text) => canonical(text) === undefined);
  return {
    values: texts.flatMap((text) => canonical(text) ?? []),
    ...(malformed === undefined
      ? {}
      : { problem: `${field}: ${shown(malformed, BOUNDS.charactersPerValue)} is malformed` }),
  };
}
